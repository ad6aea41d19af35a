import { isoTime } from '../../../runtime/iso-time.ts';
import type { Entity, EntityKind } from '../iam/iam-directory.ts';
import type { Inventory, LabRole } from '../inventory.ts';
import type { ApiContext, QueryOperation } from './api-service.ts';
import { iamPage } from './iam-policies.ts';
import {
  checkDocument,
  encodedDocument,
  entityArn,
  entityName,
  entityNames,
  entityPath,
  findEntity,
  listOf,
  noSuchEntity,
  readTags,
  tagContext,
  tagList,
} from './iam-shapes.ts';
import type { QueryParameters } from './query-parameters.ts';
import { rolePrincipal, userPrincipal } from './sts-api.ts';
import type { XmlObject } from './xml.ts';

const TITLES: Readonly<Record<EntityKind, string>> = { user: 'User', role: 'Role', group: 'Group' };

/** Users, roles and groups: what is attached to them, their inline policies, tags and boundaries. */
export function iamEntityOperations(context: ApiContext): Readonly<Record<string, QueryOperation>> {
  return Object.assign(
    {},
    operationsOf(context, 'user'),
    operationsOf(context, 'role'),
    operationsOf(context, 'group'),
    {
      ListGroupsForUser: {
        resources: (input) => [entityArn(context.inventory(), 'user', input.get('UserName') ?? '*')],
        run: (input) => {
          const { groups } = findEntity(context, 'user', input);
          const { items, rest } = iamPage(context, 'ListGroupsForUser', [...groups], input);
          return { Groups: listOf(items.map((name) => shapeOf(context, 'group', name))), ...rest };
        },
      },
    } satisfies Readonly<Record<string, QueryOperation>>,
  );
}

function operationsOf(context: ApiContext, kind: EntityKind): Readonly<Record<string, QueryOperation>> {
  const title = TITLES[kind];
  const { directory } = context.iam;
  const resources = (input: QueryParameters) => [entityArn(context.inventory(), kind, entityName(kind, input))];
  const find = (input: QueryParameters): Entity => findEntity(context, kind, input);
  const change = (run: (entity: Entity, input: QueryParameters) => void): QueryOperation => ({
    resources,
    run: (input) => {
      run(find(input), input);
      return {};
    },
  });
  const attachment = (run: (entity: Entity, arn: string) => void): QueryOperation => ({
    ...change((entity, input) => run(entity, input.require('PolicyArn'))),
    context: (input) => ({ 'iam:PolicyARN': input.get('PolicyArn') }),
  });
  const inline = (entity: Entity, name: string): string => {
    const document = entity.inline.get(name);
    if (document !== undefined) return document;
    throw noSuchEntity(`The ${kind} policy with name ${name} cannot be found.`);
  };
  const known = (arn: string): string => {
    if (directory.policies.has(arn)) return arn;
    throw noSuchEntity(`Policy ${arn} does not exist or is not attachable.`);
  };

  return {
    [`Get${title}`]: {
      resources,
      run: (input) => {
        const { name, tags, boundary } = find(input);
        const shape = shapeOf(context, kind, name);
        const limit =
          boundary === undefined
            ? {}
            : { PermissionsBoundary: { PermissionsBoundaryType: 'Policy', PermissionsBoundaryArn: boundary } };
        return { [title]: { ...shape, ...limit, ...(tags.size === 0 ? {} : { Tags: tagList(tags) }) } };
      },
    },
    [`List${title}s`]: {
      run: (input) => {
        const prefix = input.get('PathPrefix') ?? '/';
        const found = entityNames(context, kind).filter((name) =>
          entityPath(context.inventory(), kind, name).startsWith(prefix),
        );
        const { items, rest } = iamPage(context, `List${title}s`, found, input);
        return { [`${title}s`]: listOf(items.map((name) => shapeOf(context, kind, name))), ...rest };
      },
    },
    [`Attach${title}Policy`]: attachment((entity, arn) => entity.attached.add(known(arn))),
    [`Detach${title}Policy`]: attachment((entity, arn) => {
      if (!entity.attached.delete(arn)) throw noSuchEntity(`Policy ${arn} was not found.`);
    }),
    [`ListAttached${title}Policies`]: {
      resources,
      run: (input) => {
        const found = [...find(input).attached].map((arn) => ({
          PolicyArn: arn,
          PolicyName: arn.replace(/^.*\//, ''),
        }));
        const { items, rest } = iamPage(context, `ListAttached${title}Policies`, found, input);
        return { AttachedPolicies: listOf(items), ...rest };
      },
    },
    [`Put${title}Policy`]: change((entity, input) => {
      entity.inline.set(input.require('PolicyName'), checkDocument(input.require('PolicyDocument'), kind));
    }),
    [`Get${title}Policy`]: {
      resources,
      run: (input) => {
        const name = input.require('PolicyName');
        const document = inline(find(input), name);
        return {
          [`${title}Name`]: entityName(kind, input),
          PolicyName: name,
          PolicyDocument: encodedDocument(document),
        };
      },
    },
    [`Delete${title}Policy`]: change((entity, input) => {
      const name = input.require('PolicyName');
      inline(entity, name);
      entity.inline.delete(name);
    }),
    [`List${title}Policies`]: {
      resources,
      run: (input) => {
        const { items, rest } = iamPage(context, `List${title}Policies`, [...find(input).inline.keys()], input);
        return { PolicyNames: listOf(items), ...rest };
      },
    },
    ...(kind === 'group'
      ? {}
      : {
          [`Put${title}PermissionsBoundary`]: change((entity, input) => {
            entity.boundary = known(input.require('PermissionsBoundary'));
          }),
          [`Delete${title}PermissionsBoundary`]: change((entity) => {
            entity.boundary = undefined;
          }),
          [`Tag${title}`]: {
            ...change((entity, input) => {
              for (const [key, value] of readTags(input)) entity.tags.set(key, value);
            }),
            context: tagContext,
          },
          [`Untag${title}`]: {
            ...change((entity, input) => {
              for (const key of input.list('TagKeys.member')) entity.tags.delete(key);
            }),
            context: (input: QueryParameters) => ({ 'aws:TagKeys': input.list('TagKeys.member') }),
          },
          [`List${title}Tags`]: {
            resources,
            run: (input: QueryParameters) => ({ Tags: tagList(find(input).tags), IsTruncated: false }),
          },
        }),
  };
}

function shapeOf(context: ApiContext, kind: EntityKind, name: string): XmlObject {
  const inventory = context.inventory();
  const role = inventory.roles.find((one) => one.name === name);
  return {
    Path: entityPath(inventory, kind, name),
    [`${TITLES[kind]}Name`]: name,
    [`${TITLES[kind]}Id`]: idOf(inventory, kind, name),
    Arn: entityArn(inventory, kind, name),
    CreateDate: isoTime(0),
    ...(kind === 'role'
      ? { AssumeRolePolicyDocument: encodedDocument(trustPolicy(inventory, role)), MaxSessionDuration: 43_200 }
      : {}),
  };
}

/** The id that `aws:userid` begins with. */
function idOf(inventory: Inventory, kind: EntityKind, name: string): string {
  if (kind === 'user') return userPrincipal(inventory, name, []).userId;
  const { userId } = rolePrincipal(inventory, name, 'any', []);
  const id = userId.replace(/:.*$/, '');
  return kind === 'role' ? id : id.replace(/^AROA/, 'AGPA');
}

/** Who may assume a role, as far as the inventory says it. */
function trustPolicy(inventory: Inventory, role: LabRole | undefined): string {
  const users = role?.trustedUsers.map((user) => entityArn(inventory, 'user', user)) ?? [];
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { AWS: users }, Action: 'sts:AssumeRole' }],
  });
}
