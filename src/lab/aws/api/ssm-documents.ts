import { createHash } from 'node:crypto';
import { documentContent, type LabDocument } from '../documents.ts';
import type { Inventory } from '../inventory.ts';
import { type ApiContext, type JsonOperation, regionalInventory } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import type { JsonObject } from './json-input.ts';
import { takeJsonPage } from './paging.ts';

/** GetDocument, DescribeDocument and ListDocuments, for session documents only. */
export function ssmDocumentOperations(context: ApiContext): Readonly<Record<string, JsonOperation>> {
  return {
    GetDocument: {
      run: (input, call) => {
        const document = findDocument(regionalInventory(context, call), input.requiredText('Name'));
        return {
          Name: document.name,
          DocumentVersion: '1',
          Status: 'Active',
          Content: documentContent(document),
          DocumentType: 'Session',
          DocumentFormat: 'JSON',
        };
      },
    },
    DescribeDocument: {
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
    DocumentVersion: '1',
    DocumentType: 'Session',
    SchemaVersion: '1.0',
    DocumentFormat: 'JSON',
    Tags: [],
  };
}

function describeDocument(inventory: Inventory, document: LabDocument): JsonObject {
  return {
    ...identifyDocument(inventory, document),
    Description: document.description,
    Status: 'Active',
    LatestVersion: '1',
    DefaultVersion: '1',
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
