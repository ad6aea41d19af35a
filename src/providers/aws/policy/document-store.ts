import { OWN_PREFIX } from '../../../domain/pinned-name.ts';
import type { CurrentResource, JsonValue, PolicyChange, PolicyResource } from '../../policy-author.ts';
import type { AwsApi } from '../aws-api.ts';
import {
  type DocumentContent,
  OWNER_TAG,
  ownTags,
  SUBJECT_TAG,
  stableText,
  type Tags,
  tagList,
  versionName,
} from './marks.ts';
import { allPages } from './pages.ts';
import { changed, changing, isAnswer, unlessMissing } from './refusals.ts';
import { sideBySide } from './side-by-side.ts';

/** Documented: the most that `ssm:ListDocuments` gives at once. */
const PAGE_SIZE = 50;

/** The Session documents of one account, region by region. */
export class DocumentStore {
  readonly #api: AwsApi;
  readonly #account: string;

  constructor(api: AwsApi, account: string) {
    this.#api = api;
    this.#account = account;
  }

  /** Ours of a region, and whatever else has a name that ours are to have. @param wanted names */
  read(
    region: string,
    wanted: ReadonlySet<string>,
    owner: string,
    signal: AbortSignal,
  ): Promise<readonly CurrentResource[]> {
    return this.#read(region, OWN_PREFIX, (name, tags) => tags[OWNER_TAG] === owner || wanted.has(name), owner, signal);
  }

  async #read(
    region: string,
    prefix: string,
    isMeant: (name: string, tags: Tags) => boolean,
    owner: string,
    signal: AbortSignal,
  ): Promise<readonly CurrentResource[]> {
    const call = { action: 'ssm:ListDocuments', doing: `list the Session documents of ${region}` };
    const listed = await this.#api.in(region).ssm(call, signal, (sdk, client, options) =>
      allPages(async (marker) => {
        const answer = await client.send(
          new sdk.ListDocumentsCommand({
            MaxResults: PAGE_SIZE,
            Filters: [
              { Key: 'Owner', Values: ['Self'] },
              { Key: 'DocumentType', Values: ['Session'] },
              { Key: 'Name', Values: [prefix] },
            ],
            ...(marker !== undefined && { NextToken: marker }),
          }),
          options,
        );
        return { items: answer.DocumentIdentifiers, next: answer.NextToken };
      }),
    );
    const found = await sideBySide(listed, async ({ Name = '', Tags }) => {
      const tags = ownTags(Tags);
      return isMeant(Name, tags) ? this.#one(region, Name, tags, owner, signal) : undefined;
    });
    return found.filter((each) => each !== undefined);
  }

  /** @throws CT_POLICY_CHANGED, CT_POLICY_REFUSED, CT_DENIED … */
  async apply(change: PolicyChange, signal: AbortSignal): Promise<void> {
    const { id, name, content } = 'wanted' in change ? change.wanted : change.current;
    const region = id.split('/')[1]!;
    const { tags } = content as unknown as DocumentContent;
    const now = await this.#again(region, name, tags[OWNER_TAG] ?? '', signal);
    const what = `document ${name}`;
    if (change.op === 'remove') {
      if (now === undefined) return;
      if (!now.isOurs || now.version !== change.current.version) throw changed(what);
      return this.#remove(region, name, signal);
    }
    const { wanted } = change;
    if (now === undefined) {
      if (change.op === 'change') throw changed(what);
      return this.#create(region, wanted, signal);
    }
    const isDone = stableText(now.content) === stableText(wanted.content);
    if (isDone) return;
    // What an interrupted run of ours left half done is ours to finish; anything else was seen by nobody.
    const isSeen = change.op === 'change' && now.version === change.current.version;
    if (!now.isOurs || !(isSeen || isWrittenAs(now.content, wanted.content))) throw changed(what);
    return this.#change(region, wanted, now, signal);
  }

  async #one(
    region: string,
    name: string,
    tags: Tags,
    owner: string,
    signal: AbortSignal,
  ): Promise<CurrentResource | undefined> {
    const call = { action: 'ssm:GetDocument', resource: `document/${name}`, doing: `read the document ${name}` };
    const answer = await unlessMissing(
      this.#api
        .in(region)
        .ssm(call, signal, (sdk, client, options) =>
          client.send(new sdk.GetDocumentCommand({ Name: name, DocumentFormat: 'JSON' }), options),
        ),
    );
    if (answer === undefined) return undefined;
    const document = parsed(answer.Content);
    const isWritten = answer.VersionName === versionName(document);
    const remark = isWritten ? undefined : `version ${answer.DocumentVersion} was written by other hands`;
    return {
      id: `${this.#account}/${region}/document/${name}`,
      kind: 'document',
      name,
      summary: `${tags[SUBJECT_TAG] ?? 'of other hands'}, ${leadsTo(document)}`,
      content: { document, tags },
      isOurs: tags[OWNER_TAG] === owner,
      version: `${answer.DocumentVersion} ${versionName(document)}`,
      after: [],
      ...(remark !== undefined && { remark: `${remark}: ${leadsTo(document)}` }),
    };
  }

  async #again(region: string, name: string, owner: string, signal: AbortSignal): Promise<CurrentResource | undefined> {
    return (await this.#read(region, name, (found) => found === name, owner, signal))[0];
  }

  async #create(region: string, { name, content }: PolicyResource, signal: AbortSignal): Promise<void> {
    const { document, tags } = content as unknown as DocumentContent;
    const call = { action: 'ssm:CreateDocument', resource: `document/${name}`, doing: `make the document ${name}` };
    await changing(`document ${name}`, () =>
      this.#api.in(region).ssm(call, signal, (sdk, client, options) =>
        client.send(
          new sdk.CreateDocumentCommand({
            Name: name,
            DocumentType: 'Session',
            DocumentFormat: 'JSON',
            Content: JSON.stringify(document, undefined, 2),
            VersionName: versionName(document),
            Tags: tagList(tags),
          }),
          options,
        ),
      ),
    );
  }

  /** A new version, then the default, then the tags: until the default is another one, everybody has what they had. */
  async #change(
    region: string,
    { name, content }: PolicyResource,
    now: CurrentResource,
    signal: AbortSignal,
  ): Promise<void> {
    const { document, tags } = content as unknown as DocumentContent;
    const before = now.content as unknown as DocumentContent;
    if (stableText(before.document) !== stableText(document)) {
      const version =
        (await this.#written(region, name, document, signal)) ?? (await this.#write(region, name, document, signal));
      await this.#makeDefault(region, name, version, signal);
    }
    if (stableText(before.tags) === stableText(tags)) return;
    const call = { action: 'ssm:AddTagsToResource', resource: `document/${name}`, doing: `tag the document ${name}` };
    await changing(`document ${name}`, () =>
      this.#api
        .in(region)
        .ssm(call, signal, (sdk, client, options) =>
          client.send(
            new sdk.AddTagsToResourceCommand({ ResourceType: 'Document', ResourceId: name, Tags: tagList(tags) }),
            options,
          ),
        ),
    );
  }

  /** The version that has this content already: an earlier one, or one that an interrupted run wrote. */
  async #written(region: string, name: string, document: JsonValue, signal: AbortSignal): Promise<string | undefined> {
    const call = {
      action: 'ssm:ListDocumentVersions',
      resource: `document/${name}`,
      doing: `list the versions of the document ${name}`,
    };
    const versions = await this.#api.in(region).ssm(call, signal, (sdk, client, options) =>
      allPages(async (marker) => {
        const answer = await client.send(
          new sdk.ListDocumentVersionsCommand({ Name: name, ...(marker !== undefined && { NextToken: marker }) }),
          options,
        );
        return { items: answer.DocumentVersions, next: answer.NextToken };
      }),
    );
    return versions.find(({ VersionName }) => VersionName === versionName(document))?.DocumentVersion;
  }

  async #write(region: string, name: string, document: JsonValue, signal: AbortSignal): Promise<string> {
    const call = {
      action: 'ssm:UpdateDocument',
      resource: `document/${name}`,
      doing: `write a version of the document ${name}`,
    };
    const write = (): Promise<string | undefined> =>
      this.#api.in(region).ssm(call, signal, async (sdk, client, options) => {
        const answer = await client.send(
          new sdk.UpdateDocumentCommand({
            Name: name,
            DocumentFormat: 'JSON',
            DocumentVersion: '$LATEST',
            Content: JSON.stringify(document, undefined, 2),
            VersionName: versionName(document),
          }),
          options,
        );
        return answer.DocumentDescription?.DocumentVersion;
      });
    const version = await changing(`document ${name}`, () =>
      write().catch((error: unknown) => {
        // Somebody wrote the same before; the latest version is it.
        if (isAnswer(error, 'DuplicateDocumentContent')) return '$LATEST';
        throw error;
      }),
    );
    if (version === '$LATEST') return this.#latest(region, name, signal);
    if (version === undefined) throw changed(`document ${name}`);
    return version;
  }

  async #latest(region: string, name: string, signal: AbortSignal): Promise<string> {
    const call = { action: 'ssm:GetDocument', resource: `document/${name}`, doing: `read the document ${name}` };
    const { DocumentVersion = '' } = await this.#api
      .in(region)
      .ssm(call, signal, (sdk, client, options) =>
        client.send(new sdk.GetDocumentCommand({ Name: name, DocumentVersion: '$LATEST' }), options),
      );
    return DocumentVersion;
  }

  async #makeDefault(region: string, name: string, version: string, signal: AbortSignal): Promise<void> {
    const call = {
      action: 'ssm:UpdateDocumentDefaultVersion',
      resource: `document/${name}`,
      doing: `choose version ${version} of the document ${name}`,
    };
    await changing(`document ${name}`, () =>
      this.#api
        .in(region)
        .ssm(call, signal, (sdk, client, options) =>
          client.send(new sdk.UpdateDocumentDefaultVersionCommand({ Name: name, DocumentVersion: version }), options),
        ),
    );
  }

  async #remove(region: string, name: string, signal: AbortSignal): Promise<void> {
    const call = { action: 'ssm:DeleteDocument', resource: `document/${name}`, doing: `delete the document ${name}` };
    await changing(`document ${name}`, () =>
      this.#api
        .in(region)
        .ssm(call, signal, (sdk, client, options) =>
          client.send(new sdk.DeleteDocumentCommand({ Name: name }), options),
        ),
    );
  }
}

/** The document itself is as wanted, and only its tags are not yet. */
const isWrittenAs = (now: JsonValue, wanted: JsonValue) =>
  stableText((now as unknown as DocumentContent).document) ===
  stableText((wanted as unknown as DocumentContent).document);

/** What cannot be parsed is shown as it is, and is another one than ours for sure. */
function parsed(text = ''): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}

/** For people: where a document of other hands leads. */
function leadsTo(document: JsonValue): string {
  if (typeof document !== 'object' || document === null || !('properties' in document)) return 'not readable';
  const { host, portNumber } = document.properties as { readonly host?: JsonValue; readonly portNumber?: JsonValue };
  if (portNumber === undefined) return 'it runs a command';
  return `it leads to ${host === undefined ? 'the machine itself' : String(host)}:${String(portNumber)}`;
}
