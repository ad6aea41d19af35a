import { createHash } from 'node:crypto';
import { type DocumentContent, readDocumentContent } from '../document-content.ts';
import { documentContent, type LabDocument } from '../documents.ts';
import { requestTags } from '../iam/iam-gate.ts';
import type { Tags } from '../inventory.ts';
import { type ApiCall, type ApiContext, type JsonOperation, regionalInventory } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import type { JsonInput } from './json-input.ts';
import { describeDocument, documentResource, findDocument } from './ssm-documents.ts';

/** The calls that make, change and remove session documents, and tag them. */
export function ssmDocumentChanges(context: ApiContext): Readonly<Record<string, JsonOperation>> {
  const resources = (input: JsonInput, call: ApiCall) => [documentResource(context, call, readName(input))];
  const own = (input: JsonInput, call: ApiCall): LabDocument => {
    const document = findDocument(regionalInventory(context, call), readName(input));
    if (document.owner === 'Amazon') throw new AwsFault('InvalidDocumentOperation', 400, 'It belongs to Amazon.');
    return document;
  };
  const put = (document: LabDocument) =>
    context.change((inventory) => ({
      ...inventory,
      documents: [...inventory.documents.filter(({ name }) => name !== document.name), document],
    }));
  const described = (document: LabDocument) => ({
    DocumentDescription: describeDocument(context.inventory(), document),
  });
  const tagged = (input: JsonInput, call: ApiCall): LabDocument => {
    if (input.requiredText('ResourceType') !== 'Document') {
      throw new AwsFault('InvalidResourceType', 400, 'The lab keeps tags of documents only.');
    }
    const name = input.requiredText('ResourceId');
    const found = regionalInventory(context, call).documents.find((one) => one.name === name && one.owner === 'self');
    if (found === undefined) throw new AwsFault('InvalidResourceId', 400, `There is no document ${name}.`);
    return found;
  };
  const taggedResource = (input: JsonInput, call: ApiCall) => [
    documentResource(context, call, input.text('ResourceId') ?? '*'),
  ];

  return {
    CreateDocument: {
      resources,
      context: (input) => ({ 'ssm:DocumentType': input.text('DocumentType'), ...requestTags(readTags(input)) }),
      run: (input, call) => {
        const name = input.requiredText('Name', { pattern: /^[a-zA-Z0-9_\-.]{3,128}$/ });
        if (/^(aws-|amazon|amzn)/i.test(name))
          throw new AwsFault('ValidationException', 400, 'The prefix is reserved.');
        if (input.text('DocumentType') !== 'Session') {
          throw new AwsFault('ValidationException', 400, 'The lab keeps session documents only.');
        }
        readFormat(input);
        if (regionalInventory(context, call).documents.some((one) => one.name === name)) {
          throw new AwsFault('DocumentAlreadyExists', 400, `The document ${name} already exists.`);
        }
        const content = readDocumentContent(input.requiredText('Content'));
        const document: LabDocument = {
          name,
          owner: 'self',
          ...content,
          tags: readTags(input),
          versions: [{ version: '1', name: readVersionName(input), content }],
          defaultVersion: '1',
        };
        put(document);
        return described(document);
      },
    },
    UpdateDocument: {
      resources,
      run: (input, call) => {
        const document = own(input, call);
        readFormat(input);
        const content = readDocumentContent(input.requiredText('Content'));
        const versions = versionsOf(document);
        const latest = versions.at(-1)!;
        const asked = input.text('DocumentVersion') ?? '$LATEST';
        if (asked !== '$LATEST' && !versions.some(({ version }) => version === asked)) throw noVersion(asked);
        if (hashOf(document.name, latest.content) === hashOf(document.name, content)) {
          throw new AwsFault(
            'DuplicateDocumentContent',
            400,
            'The content of the document is the same as of the latest version.',
          );
        }
        const versionName = readVersionName(input);
        if (versionName !== undefined && versions.some(({ name }) => name === versionName))
          throw new AwsFault('DuplicateDocumentVersionName', 400, 'The version name is taken. Use another one.');
        const version = String(Number(latest.version) + 1);
        const changed = {
          ...document,
          defaultVersion: document.defaultVersion ?? '1',
          versions: [...versions, { version, name: versionName, content }],
        };
        put(changed);
        return { DocumentDescription: { ...describeDocument(context.inventory(), changed), DocumentVersion: version } };
      },
    },
    UpdateDocumentDefaultVersion: {
      resources,
      run: (input, call) => {
        const document = own(input, call);
        const asked = input.requiredText('DocumentVersion', { pattern: /^[1-9][0-9]*$/ });
        const found = versionsOf(document).find(({ version }) => version === asked);
        if (found === undefined) throw noVersion(asked);
        put({ ...document, ...found.content, defaultVersion: asked, versions: versionsOf(document) });
        return { Description: { Name: document.name, DefaultVersion: asked } };
      },
    },
    DeleteDocument: {
      resources,
      run: (input, call) => {
        const { name } = own(input, call);
        context.change((inventory) => ({
          ...inventory,
          documents: inventory.documents.filter((one) => one.name !== name),
        }));
        return {};
      },
    },
    ListDocumentVersions: {
      resources,
      run: (input, call) => {
        const document = findDocument(regionalInventory(context, call), readName(input));
        return {
          DocumentVersions: versionsOf(document).map(({ version, name }) => ({
            Name: document.name,
            DocumentVersion: version,
            VersionName: name,
            IsDefaultVersion: version === (document.defaultVersion ?? '1'),
            DocumentFormat: 'JSON',
            Status: 'Active',
          })),
        };
      },
    },
    AddTagsToResource: {
      resources: taggedResource,
      context: (input) => requestTags(readTags(input)),
      run: (input, call) => {
        const document = tagged(input, call);
        put({ ...document, tags: { ...document.tags, ...readTags(input) } });
        return {};
      },
    },
    RemoveTagsFromResource: {
      resources: taggedResource,
      context: (input) => ({ 'aws:TagKeys': input.textList('TagKeys') }),
      run: (input, call) => {
        const document = tagged(input, call);
        const gone = input.textList('TagKeys');
        const tags = Object.fromEntries(Object.entries(document.tags ?? {}).filter(([key]) => !gone.includes(key)));
        put({ ...document, tags });
        return {};
      },
    },
    ListTagsForResource: {
      resources: taggedResource,
      run: (input, call) => ({
        TagList: Object.entries(tagged(input, call).tags ?? {}).map(([Key, Value]) => ({ Key, Value })),
      }),
    },
    // These two are judged like any call, so that a grant can be seen to leave them out; there is nothing behind them.
    ModifyDocumentPermission: {
      resources,
      run: () => {
        throw new AwsFault('UnsupportedOperationException', 400, 'The lab shares no documents.');
      },
    },
    SendCommand: {
      resources: (input, call) => [
        documentResource(context, call, input.text('DocumentName') ?? '*'),
        ...input
          .textList('InstanceIds')
          .map((id) => `arn:aws:ec2:${call.region}:${context.inventory().account}:instance/${id}`),
      ],
      run: () => {
        throw new AwsFault('UnsupportedOperationException', 400, 'The lab runs no commands.');
      },
    },
  };
}

const readName = (input: JsonInput): string => input.requiredText('Name', { min: 1, max: 200 });

const readVersionName = (input: JsonInput): string | undefined =>
  input.text('VersionName', { pattern: /^[a-zA-Z0-9_\-.]{1,128}$/ });

function readFormat(input: JsonInput): void {
  if ((input.text('DocumentFormat') ?? 'JSON') !== 'JSON') {
    throw new AwsFault('ValidationException', 400, 'The lab reads documents as JSON only.');
  }
}

const readTags = (input: JsonInput): Tags =>
  Object.fromEntries(
    input.structures('Tags').map((tag) => [tag.requiredText('Key', { min: 1, max: 128 }), tag.text('Value') ?? '']),
  );

const versionsOf = (document: LabDocument): NonNullable<LabDocument['versions']> =>
  document.versions ?? [{ version: '1', content: document }];

const noVersion = (version: string): AwsFault =>
  new AwsFault('InvalidDocumentVersion', 400, `There is no version ${version} of the document.`);

const hashOf = (name: string, content: DocumentContent): string =>
  createHash('sha256')
    .update(documentContent({ name, owner: 'self', ...content }))
    .digest('hex');
