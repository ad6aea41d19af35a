import { CloudtunError } from '../../../domain/errors.ts';
import type { Principal } from '../../../domain/grant.ts';
import type { ForeignPolicy, JsonValue } from '../../policy-author.ts';
import type { AwsApi } from '../aws-api.ts';
import { allPages } from './pages.ts';
import { decodedPolicy } from './policy-store.ts';
import { unlessMissing } from './refusals.ts';
import { ssoRoles } from './sso-roles.ts';

/** A user or role of IAM as it stands in the account. */
export interface Holder {
  readonly kind: 'user' | 'role' | 'group';
  readonly name: string;
  readonly arn: string;
}

/**
 * The user or role behind a principal of the catalogue; of a permission set the role that it became in this account.
 *
 * @throws CT_TARGET_NOT_FOUND
 */
export async function holderOf(api: AwsApi, { kind, name }: Principal, signal: AbortSignal): Promise<Holder> {
  if (kind === 'permissionSet') {
    const role = (await ssoRoles(api, signal)).get(name);
    if (role !== undefined) return { kind: 'role', ...role };
    throw new CloudtunError('CT_TARGET_NOT_FOUND', `the permission set ${name} has no role in this account`, {
      hint: 'assign it to somebody in this account first: that makes the role',
    });
  }
  const isUser = kind === 'user';
  const call = {
    action: isUser ? 'iam:GetUser' : 'iam:GetRole',
    resource: `${kind}/${name}`,
    doing: `look up the ${kind} ${name}`,
  };
  const arn = await unlessMissing(
    api.iam(call, signal, async (sdk, client, options) =>
      isUser
        ? (await client.send(new sdk.GetUserCommand({ UserName: name }), options)).User?.Arn
        : (await client.send(new sdk.GetRoleCommand({ RoleName: name }), options)).Role?.Arn,
    ),
  );
  if (arn !== undefined) return { kind: isUser ? 'user' : 'role', name, arn };
  throw new CloudtunError('CT_TARGET_NOT_FOUND', `there is no ${kind} ${name} in the account`, {
    hint: 'people and roles are made by whoever runs the account, not by cloudtun',
  });
}

/** Everything that a user or role has: attached, inline, and by its groups. */
export async function policiesOf(api: AwsApi, holder: Holder, signal: AbortSignal): Promise<readonly ForeignPolicy[]> {
  const groups = holder.kind === 'user' ? await groupsOf(api, holder.name, signal) : [];
  const all = await Promise.all(
    [holder, ...groups].flatMap((each) => [attached(api, each, signal), inline(api, each, signal)]),
  );
  return all.flat();
}

async function groupsOf(api: AwsApi, user: string, signal: AbortSignal): Promise<readonly Holder[]> {
  const call = { action: 'iam:ListGroupsForUser', resource: `user/${user}`, doing: `list the groups of ${user}` };
  const groups = await api.iam(call, signal, (sdk, client, options) =>
    allPages(async (marker) => {
      const answer = await client.send(
        new sdk.ListGroupsForUserCommand({ UserName: user, ...(marker !== undefined && { Marker: marker }) }),
        options,
      );
      return { items: answer.Groups, next: answer.Marker };
    }),
  );
  return groups.flatMap(({ GroupName: name, Arn: arn = '' }) =>
    name === undefined ? [] : [{ kind: 'group' as const, name, arn }],
  );
}

const TITLES = { user: 'User', role: 'Role', group: 'Group' } as const;

async function attached(api: AwsApi, { kind, name }: Holder, signal: AbortSignal): Promise<readonly ForeignPolicy[]> {
  const call = {
    action: `iam:ListAttached${TITLES[kind]}Policies`,
    resource: `${kind}/${name}`,
    doing: `list the policies of ${kind} ${name}`,
  };
  const found = await api.iam(call, signal, (sdk, client, options) =>
    allPages(async (marker) => {
      const page = marker === undefined ? {} : { Marker: marker };
      const answer =
        kind === 'user'
          ? await client.send(new sdk.ListAttachedUserPoliciesCommand({ UserName: name, ...page }), options)
          : kind === 'role'
            ? await client.send(new sdk.ListAttachedRolePoliciesCommand({ RoleName: name, ...page }), options)
            : await client.send(new sdk.ListAttachedGroupPoliciesCommand({ GroupName: name, ...page }), options);
      return { items: answer.AttachedPolicies, next: answer.Marker };
    }),
  );
  const documents = await Promise.all(
    found.map(async ({ PolicyArn: arn = '', PolicyName = '' }) => {
      const content = await managed(api, arn, signal);
      return content === undefined
        ? []
        : [{ name: kind === 'group' ? `${PolicyName} of group ${name}` : PolicyName, content }];
    }),
  );
  return documents.flat();
}

/** The document of a managed policy that is in force. */
async function managed(api: AwsApi, arn: string, signal: AbortSignal): Promise<JsonValue | undefined> {
  const resource = arn.split(':').at(-1)!;
  const doing = `read ${resource}`;
  const found = await unlessMissing(
    api.iam({ action: 'iam:GetPolicy', resource, doing }, signal, (sdk, client, options) =>
      client.send(new sdk.GetPolicyCommand({ PolicyArn: arn }), options),
    ),
  );
  const VersionId = found?.Policy?.DefaultVersionId;
  if (VersionId === undefined) return undefined;
  const version = await unlessMissing(
    api.iam({ action: 'iam:GetPolicyVersion', resource, doing }, signal, (sdk, client, options) =>
      client.send(new sdk.GetPolicyVersionCommand({ PolicyArn: arn, VersionId }), options),
    ),
  );
  return decodedPolicy(version?.PolicyVersion?.Document);
}

async function inline(api: AwsApi, { kind, name }: Holder, signal: AbortSignal): Promise<readonly ForeignPolicy[]> {
  const resource = `${kind}/${name}`;
  const list = {
    action: `iam:List${TITLES[kind]}Policies`,
    resource,
    doing: `list the inline policies of ${kind} ${name}`,
  };
  const names = await api.iam(list, signal, (sdk, client, options) =>
    allPages(async (marker) => {
      const page = marker === undefined ? {} : { Marker: marker };
      const answer =
        kind === 'user'
          ? await client.send(new sdk.ListUserPoliciesCommand({ UserName: name, ...page }), options)
          : kind === 'role'
            ? await client.send(new sdk.ListRolePoliciesCommand({ RoleName: name, ...page }), options)
            : await client.send(new sdk.ListGroupPoliciesCommand({ GroupName: name, ...page }), options);
      return { items: answer.PolicyNames, next: answer.Marker };
    }),
  );
  const read = {
    action: `iam:Get${TITLES[kind]}Policy`,
    resource,
    doing: `read the inline policies of ${kind} ${name}`,
  };
  return Promise.all(
    names.map(async (PolicyName) => {
      const document = await api.iam(read, signal, async (sdk, client, options) => {
        const answer =
          kind === 'user'
            ? await client.send(new sdk.GetUserPolicyCommand({ UserName: name, PolicyName }), options)
            : kind === 'role'
              ? await client.send(new sdk.GetRolePolicyCommand({ RoleName: name, PolicyName }), options)
              : await client.send(new sdk.GetGroupPolicyCommand({ GroupName: name, PolicyName }), options);
        return answer.PolicyDocument;
      });
      const where = kind === 'group' ? ` of group ${name}` : '';
      return { name: `inline ${PolicyName}${where}`, content: decodedPolicy(document) };
    }),
  );
}
