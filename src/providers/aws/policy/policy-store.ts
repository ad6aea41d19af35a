import { OWN_PREFIX } from '../../../domain/pinned-name.ts';
import type { CurrentResource, JsonValue, PolicyChange, PolicyResource } from '../../policy-author.ts';
import type { AwsApi } from '../aws-api.ts';
import { OWNER_TAG, ownTags, type PolicyContent, stableText, type Tags, TEAM_TAG, tagList } from './marks.ts';
import { allPages } from './pages.ts';
import { changed, changing, unlessMissing } from './refusals.ts';
import { sideBySide } from './side-by-side.ts';

/** Documented: a managed policy keeps five versions. */
const MOST_VERSIONS = 5;
/** Documented: the most that IAM gives at once. */
const PAGE_SIZE = 1_000;

/** IAM gives documents out percent-encoded. */
export function decodedPolicy(text = ''): JsonValue {
  try {
    return JSON.parse(decodeURIComponent(text)) as JsonValue;
  } catch {
    return text;
  }
}

/** The customer managed policies of one account. */
export class PolicyStore {
  readonly #api: AwsApi;
  readonly #account: string;
  readonly #partition: string;

  constructor(api: AwsApi, account: string, partition: string) {
    this.#api = api;
    this.#account = account;
    this.#partition = partition;
  }

  arn(name: string): string {
    return `arn:${this.#partition}:iam::${this.#account}:policy/${name}`;
  }

  /** Ours, and whatever else has a name that ours are to have. @param wanted names */
  async read(wanted: ReadonlySet<string>, owner: string, signal: AbortSignal): Promise<readonly CurrentResource[]> {
    const call = { action: 'iam:ListPolicies', doing: 'list the policies of the account' };
    const listed = await this.#api.iam(call, signal, (sdk, client, options) =>
      allPages(async (marker) => {
        const answer = await client.send(
          new sdk.ListPoliciesCommand({
            Scope: 'Local',
            MaxItems: PAGE_SIZE,
            ...(marker !== undefined && { Marker: marker }),
          }),
          options,
        );
        return { items: answer.Policies, next: answer.Marker };
      }),
    );
    const arns = listed.flatMap(({ Arn, PolicyName = '' }) =>
      Arn !== undefined && PolicyName.startsWith(OWN_PREFIX) ? [Arn] : [],
    );
    const found = await sideBySide(arns, (arn) => this.#one(arn, owner, signal));
    return found.filter((each) => each !== undefined && (each.isOurs || wanted.has(each.name))) as CurrentResource[];
  }

  /** @throws CT_POLICY_CHANGED, CT_POLICY_REFUSED, CT_DENIED … */
  async apply(change: PolicyChange, signal: AbortSignal): Promise<void> {
    const { name, content } = 'wanted' in change ? change.wanted : change.current;
    const { tags } = content as unknown as PolicyContent;
    const now = await this.#one(this.arn(name), tags[OWNER_TAG] ?? '', signal);
    const what = `policy ${name}`;
    if (change.op === 'remove') {
      if (now === undefined) return;
      if (!now.isOurs || now.version !== change.current.version) throw changed(what);
      return this.#remove(name, signal);
    }
    if (now === undefined) {
      if (change.op === 'change') throw changed(what);
      return this.#create(change.wanted, signal);
    }
    if (stableText(now.content) === stableText(change.wanted.content)) return;
    const isSeen = change.op === 'change' && now.version === change.current.version;
    if (!now.isOurs || !isSeen) throw changed(what);
    return this.#change(change.wanted, now, signal);
  }

  async #one(arn: string, owner: string, signal: AbortSignal): Promise<CurrentResource | undefined> {
    const name = arn.replace(/^.*\//, '');
    const resource = `policy/${name}`;
    const found = await unlessMissing(
      this.#api.iam(
        { action: 'iam:GetPolicy', resource, doing: `read the policy ${name}` },
        signal,
        (sdk, client, options) => client.send(new sdk.GetPolicyCommand({ PolicyArn: arn }), options),
      ),
    );
    const policy = found?.Policy;
    if (policy?.DefaultVersionId === undefined) return undefined;
    const version = await unlessMissing(
      this.#api.iam(
        { action: 'iam:GetPolicyVersion', resource, doing: `read the policy ${name}` },
        signal,
        (sdk, client, options) =>
          client.send(
            new sdk.GetPolicyVersionCommand({ PolicyArn: arn, VersionId: policy.DefaultVersionId! }),
            options,
          ),
      ),
    );
    if (version === undefined) return undefined;
    const tags = ownTags(policy.Tags);
    const isElsewhere = arn !== this.arn(name);
    return {
      id: `${this.#account}/policy/${name}`,
      kind: 'policy',
      name,
      summary:
        tags[TEAM_TAG] === undefined
          ? 'made by other hands'
          : `of ${tags[TEAM_TAG]}, version ${policy.DefaultVersionId}`,
      content: { policy: decodedPolicy(version.PolicyVersion?.Document), tags },
      // Another path is another policy, though its name is taken.
      isOurs: tags[OWNER_TAG] === owner && !isElsewhere,
      version: policy.DefaultVersionId,
      after: [],
    };
  }

  async #create({ name, content, summary }: PolicyResource, signal: AbortSignal): Promise<void> {
    const { policy, tags } = content as unknown as PolicyContent;
    const call = { action: 'iam:CreatePolicy', resource: `policy/${name}`, doing: `make the policy ${name}` };
    await changing(`policy ${name}`, () =>
      this.#api.iam(call, signal, (sdk, client, options) =>
        client.send(
          new sdk.CreatePolicyCommand({
            PolicyName: name,
            PolicyDocument: JSON.stringify(policy),
            Description: describable(summary),
            Tags: tagList(tags),
          }),
          options,
        ),
      ),
    );
  }

  async #change({ name, content }: PolicyResource, now: CurrentResource, signal: AbortSignal): Promise<void> {
    const { policy, tags } = content as unknown as PolicyContent;
    const before = now.content as unknown as PolicyContent;
    if (stableText(before.policy) !== stableText(policy)) {
      await this.#makeRoom(name, signal);
      const call = {
        action: 'iam:CreatePolicyVersion',
        resource: `policy/${name}`,
        doing: `change the policy ${name}`,
      };
      await changing(`policy ${name}`, () =>
        this.#api.iam(call, signal, (sdk, client, options) =>
          client.send(
            new sdk.CreatePolicyVersionCommand({
              PolicyArn: this.arn(name),
              PolicyDocument: JSON.stringify(policy),
              SetAsDefault: true,
            }),
            options,
          ),
        ),
      );
    }
    if (stableText(before.tags) !== stableText(tags)) await this.#tag(name, tags, signal);
  }

  async #tag(name: string, tags: Tags, signal: AbortSignal): Promise<void> {
    const call = { action: 'iam:TagPolicy', resource: `policy/${name}`, doing: `tag the policy ${name}` };
    await changing(`policy ${name}`, () =>
      this.#api.iam(call, signal, (sdk, client, options) =>
        client.send(new sdk.TagPolicyCommand({ PolicyArn: this.arn(name), Tags: tagList(tags) }), options),
      ),
    );
  }

  /** The oldest version that is not in force goes where no other one fits. */
  async #makeRoom(name: string, signal: AbortSignal): Promise<void> {
    const versions = await this.#versions(name, signal);
    if (versions.length < MOST_VERSIONS) return;
    const oldest = versions
      .filter(({ isDefault }) => !isDefault)
      .sort((one, two) => one.number - two.number)
      .at(0);
    if (oldest !== undefined) await this.#removeVersion(name, oldest.id, signal);
  }

  async #versions(name: string, signal: AbortSignal) {
    const call = {
      action: 'iam:ListPolicyVersions',
      resource: `policy/${name}`,
      doing: `list the versions of the policy ${name}`,
    };
    const versions = await this.#api.iam(call, signal, (sdk, client, options) =>
      allPages(async (marker) => {
        const answer = await client.send(
          new sdk.ListPolicyVersionsCommand({
            PolicyArn: this.arn(name),
            ...(marker !== undefined && { Marker: marker }),
          }),
          options,
        );
        return { items: answer.Versions, next: answer.Marker };
      }),
    );
    return versions.map(({ VersionId = '', IsDefaultVersion }) => ({
      id: VersionId,
      isDefault: IsDefaultVersion === true,
      number: Number(VersionId.slice(1)),
    }));
  }

  async #removeVersion(name: string, version: string, signal: AbortSignal): Promise<void> {
    const call = {
      action: 'iam:DeletePolicyVersion',
      resource: `policy/${name}`,
      doing: `delete version ${version} of the policy ${name}`,
    };
    await changing(`policy ${name}`, () =>
      this.#api.iam(call, signal, (sdk, client, options) =>
        client.send(new sdk.DeletePolicyVersionCommand({ PolicyArn: this.arn(name), VersionId: version }), options),
      ),
    );
  }

  async #remove(name: string, signal: AbortSignal): Promise<void> {
    for (const { id, isDefault } of await this.#versions(name, signal)) {
      if (!isDefault) await this.#removeVersion(name, id, signal);
    }
    const call = { action: 'iam:DeletePolicy', resource: `policy/${name}`, doing: `delete the policy ${name}` };
    await changing(`policy ${name}`, () =>
      this.#api.iam(call, signal, (sdk, client, options) =>
        client.send(new sdk.DeletePolicyCommand({ PolicyArn: this.arn(name) }), options),
      ),
    );
  }
}

/** What IAM takes in a description: 1,000 characters of Latin 1. */
const describable = (text: string) => text.replaceAll(/[^\t\n\r\u0020-\u007E\u00A1-\u00FF]/g, ' ').slice(0, 1_000);
