import { readIamPolicy } from '../../../onboarding/core/iam-policy.ts';
import { isoTime } from '../../../runtime/iso-time.ts';
import type { Inventory, LabRole } from '../inventory.ts';
import type { KeyRing, Principal } from '../principals.ts';
import type { ApiCall, ApiContext, QueryService } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import type { QueryParameters } from './query-parameters.ts';
import type { XmlObject } from './xml.ts';

type IssuedKey = ReturnType<KeyRing['issueTemporary']>;

export interface StsSecrets {
  /** The six digits that every MFA device of the lab shows. */
  readonly mfaCode: string;
  /** The web identity token that the lab's OIDC issuer gave out. */
  readonly webIdentityToken: string;
}

/** GetCallerIdentity, AssumeRole (with a second factor where the role asks for it) and AssumeRoleWithWebIdentity. */
export function stsApi(context: ApiContext, secrets: StsSecrets): QueryService {
  return {
    name: 'sts',
    protocol: 'query',
    version: '2011-06-15',
    namespace: 'https://sts.amazonaws.com/doc/2011-06-15/',
    operations: {
      GetCallerIdentity: {
        run: (_input, call) => {
          const { arn, userId, account } = call.key.principal;
          return { Arn: arn, UserId: userId, Account: account };
        },
      },
      AssumeRole: {
        resources: (input) => [input.require('RoleArn')],
        run: (input, call) => assumeRole(context, secrets, input, call),
      },
    },
    unsigned: { AssumeRoleWithWebIdentity: { run: (input) => assumeWithWebIdentity(context, secrets, input) } },
  };
}

function assumeRole(context: ApiContext, secrets: StsSecrets, input: QueryParameters, call: ApiCall): XmlObject {
  const inventory = context.inventory();
  const roleArn = input.require('RoleArn');
  const caller = call.key.principal;
  const role = inventory.roles.find((one) => roleArnOf(inventory, one) === roleArn);
  // STS does not say whether a role exists or may not be assumed.
  const refusal = new AwsFault(
    'AccessDenied',
    403,
    `User: ${caller.arn} is not authorized to perform: sts:AssumeRole on resource: ${roleArn}`,
  );
  const user = inventory.users.find((one) => userPrincipal(inventory, one.name, []).arn === caller.arn);
  if (role === undefined || user === undefined || !role.trustedUsers.includes(user.name)) throw refusal;

  const serial = input.get('SerialNumber');
  const code = input.get('TokenCode');
  if (role.requireMfa && (serial === undefined || code === undefined)) throw refusal;
  if (serial !== undefined) checkMfa(inventory, secrets, user.name, user.mfa, serial, code ?? '');
  const key = issue(context, inventory, role, input, serial !== undefined);
  return { ...describeIssued(key), PackedPolicySize: 6 };
}

function checkMfa(
  inventory: Inventory,
  secrets: StsSecrets,
  user: string,
  hasDevice: boolean,
  serial: string,
  code: string,
): void {
  if (!hasDevice || serial !== mfaSerial(inventory, user)) {
    const what =
      'MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.';
    throw new AwsFault('AccessDenied', 403, what);
  }
  if (!/^\d{6}$/.test(code)) {
    const what = `1 validation error detected: Value '${code}' at 'tokenCode' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\d]*`;
    throw new AwsFault('ValidationError', 400, what);
  }
  if (code !== secrets.mfaCode) {
    throw new AwsFault('AccessDenied', 403, 'MultiFactorAuthentication failed with invalid MFA one time pass code. ');
  }
}

function assumeWithWebIdentity(context: ApiContext, secrets: StsSecrets, input: QueryParameters): XmlObject {
  const inventory = context.inventory();
  const roleArn = input.require('RoleArn');
  if (input.require('WebIdentityToken') !== secrets.webIdentityToken) {
    throw new AwsFault('InvalidIdentityToken', 400, 'The provided web identity token could not be validated');
  }
  const role = inventory.roles.find((one) => roleArnOf(inventory, one) === roleArn);
  if (!role?.webIdentity) {
    throw new AwsFault('AccessDenied', 403, 'Not authorized to perform sts:AssumeRoleWithWebIdentity');
  }
  const key = issue(context, inventory, role, input, false);
  return {
    ...describeIssued(key),
    SubjectFromWebIdentityToken: 'lab:ci',
    Audience: 'sts.amazonaws.com',
    Provider: `arn:aws:iam::${inventory.account}:oidc-provider/lab.example.com`,
  };
}

function issue(
  context: ApiContext,
  inventory: Inventory,
  role: LabRole,
  input: QueryParameters,
  mfa: boolean,
): IssuedKey {
  const session = input.require('RoleSessionName');
  if (!/^[\w+=,.@-]{2,64}$/.test(session)) {
    const what = `1 validation error detected: Value '${session}' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*`;
    throw new AwsFault('ValidationError', 400, what);
  }
  const seconds = input.integer('DurationSeconds', 900, 43_200) ?? 3_600;
  const principal = rolePrincipal(inventory, role.name, session, role.denied);
  const sessionPolicy = input.get('Policy');
  if (sessionPolicy !== undefined && !readIamPolicy('session policy', sessionPolicy).ok) {
    throw new AwsFault('MalformedPolicyDocument', 400, 'The policy is not in the valid JSON format.');
  }
  const narrowed = sessionPolicy === undefined ? principal : { ...principal, sessionPolicy };
  return context.keys.issueTemporary(narrowed, seconds * 1_000, mfa);
}

function describeIssued(key: IssuedKey): XmlObject {
  return {
    AssumedRoleUser: { Arn: key.principal.arn, AssumedRoleId: key.principal.userId },
    Credentials: {
      AccessKeyId: key.accessKeyId,
      SecretAccessKey: key.secretAccessKey.reveal(),
      SessionToken: key.sessionToken.reveal(),
      Expiration: isoTime(key.expiresAt),
    },
  };
}

export const roleArnOf = (inventory: Inventory, role: Pick<LabRole, 'name'>): string =>
  `arn:aws:iam::${inventory.account}:role/${role.name}`;

export const mfaSerial = (inventory: Inventory, user: string): string =>
  `arn:aws:iam::${inventory.account}:mfa/${user}`;

export function userPrincipal(inventory: Inventory, name: string, denied: Principal['denied']): Principal {
  const userId = `AIDA${idOf(name)}`;
  return { name, arn: `arn:aws:iam::${inventory.account}:user/${name}`, userId, account: inventory.account, denied };
}

export function rolePrincipal(
  inventory: Inventory,
  role: string,
  session: string,
  denied: Principal['denied'],
): Principal {
  return {
    name: session,
    arn: `arn:aws:sts::${inventory.account}:assumed-role/${role}/${session}`,
    userId: `AROA${idOf(role)}:${session}`,
    account: inventory.account,
    denied,
  };
}

/** A stable unique id in the alphabet of the real ones. */
const idOf = (name: string): string =>
  Buffer.from(name.padEnd(16, 'X'))
    .toString('hex')
    .toUpperCase()
    .replace(/[0189]/g, 'Z')
    .slice(0, 17);
