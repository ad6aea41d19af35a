import { createHash } from 'node:crypto';
import { documentContent, type LabDocument } from '../documents.ts';
import { type LabResource, resourceTags } from '../iam/iam-gate.ts';
import type { Inventory } from '../inventory.ts';
import { type ApiCall, type ApiContext, type JsonOperation, regionalInventory } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import type { JsonInput, JsonObject } from './json-input.ts';
import { takeJsonPage } from './paging.ts';

/** GetDocument, DescribeDocument and ListDocuments, for session documents only. */
export function ssmDocumentOperations(context: ApiContext): Readonly<Record<string, JsonOperation>> {
  const named = (input: JsonInput, call: ApiCall) => [documentResource(context, call, input.requiredText('Name'))];
  return {
    GetDocument: {
      resources: named,
      run: (input, call) => {
        const found = findDocument(regionalInventory(context, call), input.requiredText('Name'));
        const { document, version } = chooseVersion(found, input.text('DocumentVersion'));
        return {
          Name: document.name,
          DocumentVersion: version,
          VersionName: found.versions?.find((one) => one.version === version)?.name,
          Status: 'Active',
          Content: documentContent(document),
          DocumentType: 'Session',
          DocumentFormat: 'JSON',
        };
      },
    },
    DescribeDocument: {
      resources: named,
      run: (input, call) => {
        const inventory = regionalInventory(context, call);
        return { Document: describeDocument(inventory, findDocument(inventory, input.requiredText('Name'))) };
      },
    },
    ListDocuments: {
      run: (input, call) => {
        const inventory = regionalInventory(context, call);
        const filters = [
          ...input
            .structures('Filters')
            .map((one) => ({ key: one.requiredText('Key'), values: one.textList('Values') })),
          ...input
            .structures('DocumentFilterList')
            .map((one) => ({ key: one.requiredText('key'), values: [one.requiredText('value')] })),
        ];
        const found = inventory.documents.filter((document) => filters.every((filter) => fits(document, filter)));
        const size = Math.min(input.integer('MaxResults', 1, 50) ?? 10, context.pageLimit);
        const page = takeJsonPage('ssm:ListDocuments', found, size, input);
        return { DocumentIdentifiers: page.items.map((one) => identifyDocument(inventory, one)), NextToken: page.next };
      },
    },
  };
}

/** @throws AwsFault InvalidDocument; names may be ARNs too */
export function findDocument(inventory: Inventory, name: string): LabDocument {
  const document = inventory.documents.find((one) => one.name === name || name.endsWith(`:document/${one.name}`));
  if (document) return document;
  throw new AwsFault('InvalidDocument', 400, `Document with name ${name} does not exist.`);
}

/** A document as a resource; AWS-owned ones have no account in their ARN. */
export function documentResource(context: ApiContext, call: ApiCall, asked: string): LabResource {
  const inventory = context.inventory();
  const name = asked.replace(/^.*:document\//, '');
  const document = inventory.documents.find((one) => one.name === name);
  const account = document?.owner === 'Amazon' ? '' : inventory.account;
  return {
    arn: `arn:aws:ssm:${call.region}:${account}:document/${name}`,
    context: { 'ssm:DocumentType': 'Session', ...resourceTags('ssm', document?.tags ?? {}) },
  };
}

/** The default version, or the one that was asked for. */
function chooseVersion(found: LabDocument, asked: string | undefined): { document: LabDocument; version: string } {
  const { versions = [], defaultVersion = '1' } = found;
  if (asked === undefined || asked === '$DEFAULT' || asked === defaultVersion) {
    return { document: found, version: defaultVersion };
  }
  const one = asked === '$LATEST' ? versions.at(-1) : versions.find(({ version }) => version === asked);
  if (one !== undefined) return { document: { ...found, ...one.content }, version: one.version };
  if (asked === '$LATEST') return { document: found, version: defaultVersion };
  throw new AwsFault('InvalidDocumentVersion', 400, `There is no version ${asked} of the document.`);
}

function fits(document: LabDocument, filter: { readonly key: string; readonly values: readonly string[] }): boolean {
  switch (filter.key) {
    case 'Name':
      return filter.values.some((value) => document.name.startsWith(value));
    case 'Owner':
      return filter.values.some(
        (value) => value === 'All' || value === 'Public' || value.toLowerCase() === document.owner.toLowerCase(),
      );
    case 'DocumentType':
      return filter.values.includes('Session');
    case 'PlatformTypes':
      return filter.values.includes('Linux');
    default:
      throw new AwsFault('InvalidFilterKey', 400, `${filter.key} is not a valid filter key.`);
  }
}

function identifyDocument(inventory: Inventory, document: LabDocument): JsonObject {
  return {
    Name: document.name,
    Owner: document.owner === 'Amazon' ? 'Amazon' : inventory.account,
    PlatformTypes: ['Linux', 'MacOS', 'Windows'],
    DocumentVersion: document.defaultVersion ?? '1',
    VersionName: document.versions?.find(({ version }) => version === (document.defaultVersion ?? '1'))?.name,
    DocumentType: 'Session',
    SchemaVersion: '1.0',
    DocumentFormat: 'JSON',
    Tags: Object.entries(document.tags ?? {}).map(([Key, Value]) => ({ Key, Value })),
  };
}

export function describeDocument(inventory: Inventory, document: LabDocument): JsonObject {
  return {
    ...identifyDocument(inventory, document),
    Description: document.description,
    Status: 'Active',
    LatestVersion: document.versions?.at(-1)?.version ?? '1',
    DefaultVersion: document.defaultVersion ?? '1',
    HashType: 'Sha256',
    Hash: createHash('sha256').update(documentContent(document)).digest('hex'),
    Parameters: Object.entries(document.parameters).map(([name, parameter]) => ({
      Name: name,
      Type: 'String',
      Description: parameter.description,
      DefaultValue: parameter.default,
    })),
  };
}
