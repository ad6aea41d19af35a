import type { IamContext } from '../../../onboarding/core/iam-context.ts';
import { readIamPolicy } from '../../../onboarding/core/iam-policy.ts';
import type { Entity, EntityKind } from '../iam/iam-directory.ts';
import { requestTags } from '../iam/iam-gate.ts';
import type { Inventory } from '../inventory.ts';
import type { ApiContext } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import type { QueryParameters } from './query-parameters.ts';
import type { XmlObject } from './xml.ts';

/** IAM writes lists as `member` elements. */
export const listOf = (items: readonly (XmlObject | string)[]): XmlObject => ({ member: items });

export const tagList = (tags: ReadonlyMap<string, string>): XmlObject =>
  listOf([...tags].map(([Key, Value]) => ({ Key, Value })));

/** `Tags.member.1.Key` … */
export function readTags(input: QueryParameters): ReadonlyMap<string, string> {
  const tags = new Map<string, string>();
  for (let index = 1; ; index += 1) {
    const key = input.get(`Tags.member.${index}.Key`);
    if (key === undefined) return tags;
    tags.set(key, input.get(`Tags.member.${index}.Value`) ?? '');
  }
}

export const tagContext = (input: QueryParameters): IamContext => requestTags(Object.fromEntries(readTags(input)));

/** Characters without white space, as IAM counts them (IAM quotas). */
const LIMITS = { managed: 6_144, user: 2_048, role: 10_240, group: 5_120, permissionSet: 32_768 } as const;

/** @throws AwsFault MalformedPolicyDocument, LimitExceeded */
export function checkDocument(document: string, holder: keyof typeof LIMITS): string {
  const found = readIamPolicy('document', document);
  if (!found.ok) throw new AwsFault('MalformedPolicyDocument', 400, found.problem);
  if (document.replace(/\s/g, '').length > LIMITS[holder]) {
    const what = holder === 'managed' ? 'PolicySize' : `${holder} policy size`;
    throw new AwsFault('LimitExceeded', 409, `Cannot exceed quota for ${what}: ${LIMITS[holder]}`);
  }
  return document;
}

/** IAM gives documents out percent-encoded (RFC 3986). */
export const encodedDocument = (document: string): string =>
  encodeURIComponent(document).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);

export const noSuchEntity = (what: string): AwsFault => new AwsFault('NoSuchEntity', 404, what);

const NAMES: Readonly<Record<EntityKind, string>> = { user: 'UserName', role: 'RoleName', group: 'GroupName' };

/** Roles of permission sets stand under a path of their own, which names the region of Identity Center. */
export const entityPath = ({ region }: Inventory, kind: EntityKind, name: string): string =>
  kind === 'role' && name.startsWith('AWSReservedSSO_') ? `/aws-reserved/sso.amazonaws.com/${region}/` : '/';

export const entityArn = (inventory: Inventory, kind: EntityKind, name: string): string =>
  `arn:aws:iam::${inventory.account}:${kind}${entityPath(inventory, kind, name)}${name}`;

export const entityName = (kind: EntityKind, input: QueryParameters): string => input.require(NAMES[kind]);

/** A permission set as the role that it becomes in the account. */
export const permissionSetRole = (name: string): string => `AWSReservedSSO_${name}_0a1b2c3d4e5f6071`;

/** Names of the users, roles or groups that there are. */
export function entityNames(context: ApiContext, kind: EntityKind): readonly string[] {
  const { users, roles, sso } = context.inventory();
  if (kind === 'user') return users.map(({ name }) => name);
  if (kind === 'role') return [...roles.map(({ name }) => name), permissionSetRole(sso.permissionSet)];
  const { directory } = context.iam;
  return [...new Set(directory.entities().flatMap((one) => (one.kind === 'group' ? [one.name] : [...one.groups])))];
}

/** @throws AwsFault NoSuchEntity */
export function findEntity(context: ApiContext, kind: EntityKind, input: QueryParameters): Entity {
  const name = entityName(kind, input);
  if (!entityNames(context, kind).includes(name)) {
    throw noSuchEntity(`The ${kind} with name ${name} cannot be found.`);
  }
  return context.iam.directory.entity(kind, name);
}
