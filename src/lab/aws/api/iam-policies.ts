import { isoTime } from '../../../runtime/iso-time.ts';
import type { ManagedPolicy, PolicyVersion } from '../iam/iam-directory.ts';
import type { ApiContext, QueryOperation } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import { checkDocument, encodedDocument, listOf, noSuchEntity, readTags, tagContext, tagList } from './iam-shapes.ts';
import { takePage } from './paging.ts';
import type { QueryParameters } from './query-parameters.ts';
import type { XmlObject } from './xml.ts';

const BAD_MARKER = new AwsFault('ValidationError', 400, 'Invalid Marker.');
/** Versions that a managed policy may have. */
const MAX_VERSIONS = 5;

/** One page in IAM's words. */
export function iamPage<Item>(
  context: ApiContext,
  list: string,
  items: readonly Item[],
  input: QueryParameters,
): { readonly items: readonly Item[]; readonly rest: XmlObject } {
  const size = Math.min(input.integer('MaxItems', 1, 1_000) ?? 100, context.pageLimit);
  const page = takePage(`iam:${list}`, items, size, input.get('Marker'), BAD_MARKER);
  const rest = { IsTruncated: page.next !== undefined, ...(page.next === undefined ? {} : { Marker: page.next }) };
  return { items: page.items, rest };
}

/** Managed policies and their versions. */
export function iamPolicyOperations(context: ApiContext): Readonly<Record<string, QueryOperation>> {
  const { directory } = context.iam;
  const find = (input: QueryParameters): ManagedPolicy => {
    const arn = input.require('PolicyArn');
    const found = directory.policies.get(arn);
    if (found === undefined) throw noSuchEntity(`Policy ${arn} does not exist or is not attachable.`);
    return found;
  };
  const findOwn = (input: QueryParameters): ManagedPolicy => {
    const found = find(input);
    if (found.arn.startsWith('arn:aws:iam::aws:'))
      throw new AwsFault('AccessDenied', 403, `${found.arn} belongs to AWS.`);
    return found;
  };
  const holders = (policy: ManagedPolicy) => directory.entities().filter((one) => one.attached.has(policy.arn));
  const isBoundary = (policy: ManagedPolicy) => directory.entities().some((one) => one.boundary === policy.arn);
  const shape = (policy: ManagedPolicy): XmlObject => ({
    PolicyName: policy.name,
    PolicyId: policy.policyId,
    Arn: policy.arn,
    Path: policy.path,
    DefaultVersionId: policy.defaultVersion,
    AttachmentCount: holders(policy).length,
    IsAttachable: true,
    Description: policy.description,
    CreateDate: isoTime(policy.createdAt),
    UpdateDate: isoTime(policy.updatedAt),
  });
  const versionShape = (
    policy: ManagedPolicy,
    { id, createdAt, document }: PolicyVersion,
    isWhole: boolean,
  ): XmlObject => ({
    VersionId: id,
    IsDefaultVersion: id === policy.defaultVersion,
    CreateDate: isoTime(createdAt),
    ...(isWhole ? { Document: encodedDocument(document) } : {}),
  });
  const findVersion = (policy: ManagedPolicy, id: string): PolicyVersion => {
    const found = policy.versions.find((one) => one.id === id);
    if (found === undefined)
      throw noSuchEntity(`Policy ${policy.arn} version ${id} does not exist or is not attachable.`);
    return found;
  };
  const resources = (input: QueryParameters) => [input.get('PolicyArn') ?? '*'];
  const pathOf = (input: QueryParameters): string => {
    const path = input.get('Path') ?? '/';
    if (!/^\/([!-~]*\/)?$/.test(path))
      throw new AwsFault('ValidationError', 400, 'The specified value for path is invalid.');
    return path;
  };
  const arnOf = (input: QueryParameters) =>
    `arn:aws:iam::${context.inventory().account}:policy${pathOf(input)}${input.require('PolicyName')}`;

  return {
    CreatePolicy: {
      resources: (input) => [arnOf(input)],
      context: tagContext,
      run: (input) => {
        const name = input.require('PolicyName');
        if (!/^[\w+=,.@-]{1,128}$/.test(name))
          throw new AwsFault('ValidationError', 400, 'The specified value for policyName is invalid.');
        const arn = arnOf(input);
        if (directory.policies.has(arn)) {
          throw new AwsFault(
            'EntityAlreadyExists',
            409,
            `A policy called ${name} already exists. Duplicate names are not allowed.`,
          );
        }
        const document = checkDocument(input.require('PolicyDocument'), 'managed');
        const policy = directory.addPolicy({
          arn,
          name,
          path: pathOf(input),
          description: input.get('Description') ?? '',
          document,
        });
        for (const [key, value] of readTags(input)) policy.tags.set(key, value);
        return { Policy: { ...shape(policy), Tags: tagList(policy.tags) } };
      },
    },
    GetPolicy: { resources, run: (input) => ({ Policy: { ...shape(find(input)), Tags: tagList(find(input).tags) } }) },
    ListPolicies: {
      run: (input) => {
        const scope = input.get('Scope') ?? 'All';
        const prefix = input.get('PathPrefix') ?? '/';
        const found = [...directory.policies.values()].filter((policy) => {
          const isAws = policy.arn.startsWith('arn:aws:iam::aws:');
          const fits = scope === 'All' || (scope === 'AWS') === isAws;
          return (
            fits &&
            policy.path.startsWith(prefix) &&
            (input.get('OnlyAttached') !== 'true' || holders(policy).length > 0)
          );
        });
        const { items, rest } = iamPage(context, 'ListPolicies', found, input);
        return { Policies: listOf(items.map(shape)), ...rest };
      },
    },
    DeletePolicy: {
      resources,
      run: (input) => {
        const policy = findOwn(input);
        if (holders(policy).length > 0 || isBoundary(policy)) {
          throw new AwsFault('DeleteConflict', 409, 'Cannot delete a policy attached to entities.');
        }
        if (policy.versions.length > 1) {
          throw new AwsFault(
            'DeleteConflict',
            409,
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.",
          );
        }
        directory.policies.delete(policy.arn);
        return {};
      },
    },
    CreatePolicyVersion: {
      resources,
      run: (input) => {
        const policy = findOwn(input);
        const document = checkDocument(input.require('PolicyDocument'), 'managed');
        if (policy.versions.length >= MAX_VERSIONS) {
          throw new AwsFault(
            'LimitExceeded',
            409,
            'A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.',
          );
        }
        const version = directory.addVersion(policy, document, input.get('SetAsDefault') === 'true');
        return { PolicyVersion: versionShape(policy, version, false) };
      },
    },
    GetPolicyVersion: {
      resources,
      run: (input) => {
        const policy = find(input);
        return { PolicyVersion: versionShape(policy, findVersion(policy, input.require('VersionId')), true) };
      },
    },
    ListPolicyVersions: {
      resources,
      run: (input) => {
        const policy = find(input);
        const { items, rest } = iamPage(context, 'ListPolicyVersions', policy.versions, input);
        return { Versions: listOf(items.map((one) => versionShape(policy, one, false))), ...rest };
      },
    },
    SetDefaultPolicyVersion: {
      resources,
      run: (input) => {
        const policy = findOwn(input);
        policy.defaultVersion = findVersion(policy, input.require('VersionId')).id;
        policy.updatedAt = context.world.clock.wall();
        return {};
      },
    },
    DeletePolicyVersion: {
      resources,
      run: (input) => {
        const policy = findOwn(input);
        const { id } = findVersion(policy, input.require('VersionId'));
        if (id === policy.defaultVersion) {
          throw new AwsFault('DeleteConflict', 409, 'Cannot delete the default version of a policy.');
        }
        policy.versions = policy.versions.filter((one) => one.id !== id);
        return {};
      },
    },
    ListEntitiesForPolicy: {
      resources,
      run: (input) => {
        const found = holders(find(input));
        const of = (kind: string, name: string) =>
          listOf(found.filter((one) => one.kind === kind).map((one) => ({ [name]: one.name })));
        return {
          PolicyGroups: of('group', 'GroupName'),
          PolicyUsers: of('user', 'UserName'),
          PolicyRoles: of('role', 'RoleName'),
          IsTruncated: false,
        };
      },
    },
    TagPolicy: {
      resources,
      context: tagContext,
      run: (input) => {
        const policy = findOwn(input);
        for (const [key, value] of readTags(input)) policy.tags.set(key, value);
        return {};
      },
    },
    UntagPolicy: {
      resources,
      context: (input) => ({ 'aws:TagKeys': input.list('TagKeys.member') }),
      run: (input) => {
        const policy = findOwn(input);
        for (const key of input.list('TagKeys.member')) policy.tags.delete(key);
        return {};
      },
    },
    ListPolicyTags: { resources, run: (input) => ({ Tags: tagList(find(input).tags), IsTruncated: false }) },
  };
}
