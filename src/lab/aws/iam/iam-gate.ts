import { evaluateCall, evaluateSessionStart, type IamCallVerdict } from '../../../onboarding/core/iam-call.ts';
import type { IamContext } from '../../../onboarding/core/iam-context.ts';
import { isoTime } from '../../../runtime/iso-time.ts';
import type { World } from '../../../runtime/world.ts';
import type { Inventory } from '../inventory.ts';
import { type LabKey, mayCall } from '../principals.ts';
import type { Session } from '../sessions.ts';
import type { IamDirectory } from './iam-directory.ts';

/** A resource of a call, with the condition keys that it brings. */
export interface LabResource {
  readonly arn: string;
  readonly context?: IamContext;
}

export interface IamSettings {
  /** Off: everybody may do everything but what the inventory denies them. On: policies decide. */
  readonly enforce: boolean;
  /** What is judged when a session is started without a document name; see iam-call.ts. */
  readonly documentCheck: 'always' | 'when-asked';
  /**
   * How session ARNs begin that permissions are checked on: with the user or role session name, as ids do, or with `aws:userid`, as the
   * Session Manager guide writes them in policies. Which of them AWS compares for a role is not documented.
   */
  readonly sessionIds: 'name' | 'userid';
}

const USUAL: IamSettings = { enforce: false, documentCheck: 'always', sessionIds: 'name' };

export interface GateRequest {
  readonly key: LabKey;
  readonly region: string;
  readonly action: string;
  /** Undefined: the action has none. */
  readonly resources: readonly LabResource[] | undefined;
  readonly context?: IamContext;
}

/** Why a call is refused. */
export interface Refusal {
  readonly resource: string;
  /** `because no identity-based policy allows the ssm:StartSession action` */
  readonly because: string;
}

/** Decides whether a call of the lab's AWS goes through. */
export class IamGate {
  readonly directory: IamDirectory;
  readonly #world: Pick<World, 'clock'>;
  readonly #inventory: () => Inventory;
  #settings: IamSettings = USUAL;

  constructor(world: Pick<World, 'clock'>, inventory: () => Inventory, directory: IamDirectory) {
    this.#world = world;
    this.#inventory = inventory;
    this.directory = directory;
  }

  get settings(): IamSettings {
    return this.#settings;
  }

  /** What is not given stays as it is. */
  set(settings: Partial<IamSettings>): void {
    this.#settings = { ...this.#settings, ...settings };
  }

  /** Undefined: it may. */
  refuse(request: GateRequest): Refusal | undefined {
    const { key, action, resources } = request;
    if (!this.#settings.enforce) {
      const denied = (resources ?? [{ arn: '*' }]).find(({ arn }) => !mayCall(key.principal, action, arn));
      return (
        denied && { resource: denied.arn, because: `because no identity-based policy allows the ${action} action` }
      );
    }
    const { refused } = this.judge(request);
    if (refused === undefined) return undefined;
    // A trust policy that names the user lets it in without a policy of its own; STS asks it next.
    if (action === 'sts:AssumeRole' && refused.decision === 'implicit-deny') return undefined;
    if (refused.decision === 'explicit-deny') {
      const kind = refused.decidedBy[0]?.kind;
      const where =
        kind === 'boundary'
          ? 'a permissions boundary'
          : kind === 'session'
            ? 'a session policy'
            : 'an identity-based policy';
      return { resource: refused.resource, because: `with an explicit deny in ${where}` };
    }
    const [missing] = refused.missing;
    const what =
      missing === 'boundary'
        ? 'permissions boundary'
        : missing === 'session'
          ? 'session policy'
          : 'identity-based policy';
    return { resource: refused.resource, because: `because no ${what} allows the ${action} action` };
  }

  /** The whole verdict, by policies alone. */
  judge({ key, region, action, resources = [], context }: GateRequest): IamCallVerdict {
    const policies = this.directory.policiesOf(key.principal);
    const whole = { ...this.#contextOf(key, region), ...context };
    const [target, document] = resources;
    if (action !== 'ssm:StartSession' || target === undefined) {
      return evaluateCall(policies, { action, resources, context: whole });
    }
    return evaluateSessionStart(policies, {
      target,
      ...(document === undefined ? {} : { document }),
      shellDocument: { arn: `arn:aws:ssm:${region}:${this.#inventory().account}:document/SSM-SessionManagerRunShell` },
      context: whole,
      documentCheck: this.#settings.documentCheck,
    });
  }

  /** A session as a resource, with the two tags that Session Manager puts on it. */
  sessionResource(session: Pick<Session, 'sessionId' | 'owner' | 'ownerId' | 'targetId'>, region: string): LabResource {
    const { sessionId, owner, ownerId, targetId } = session;
    const name = this.#settings.sessionIds === 'name' ? sessionId : `${ownerId}${sessionId.slice(owner.length)}`;
    return {
      arn: `arn:aws:ssm:${region}:${this.#inventory().account}:session/${name}`,
      context: resourceTags('ssm', {
        'aws:ssmmessages:session-id': ownerId,
        'aws:ssmmessages:target-id': targetId,
      }),
    };
  }

  /** Keys that every request has. */
  #contextOf({ principal, mfa, sessionToken }: LabKey, region: string): IamContext {
    const now = this.#world.clock.wall();
    const isUser = principal.arn.includes(':user/');
    const entity = this.directory.entityOf(principal);
    return {
      'aws:PrincipalArn': isUser ? principal.arn : `arn:aws:iam::${principal.account}:role/${entity.name}`,
      'aws:PrincipalAccount': principal.account,
      'aws:PrincipalType': isUser ? 'User' : 'AssumedRole',
      'aws:userid': principal.userId,
      'aws:username': isUser ? principal.name : undefined,
      // Long-term keys have no such key at all, which is what makes BoolIfExists dangerous.
      'aws:MultiFactorAuthPresent': sessionToken === undefined ? undefined : String(mfa === true),
      'aws:CurrentTime': isoTime(now),
      'aws:EpochTime': String(Math.floor(now / 1_000)),
      'aws:RequestedRegion': region,
      'aws:SecureTransport': 'true',
      'aws:SourceIp': '127.0.0.1',
      ...Object.fromEntries([...entity.tags].map(([name, value]) => [`aws:PrincipalTag/${name}`, value])),
    };
  }
}

/** The tags of a resource under the global key and the service's own. */
export function resourceTags(service: 'ssm' | 'ec2', tags: Readonly<Record<string, string>>): IamContext {
  const own = service === 'ssm' ? 'ssm:resourceTag' : 'ec2:ResourceTag';
  return Object.fromEntries(
    Object.entries(tags).flatMap(([name, value]) => [
      [`aws:ResourceTag/${name}`, value],
      [`${own}/${name}`, value],
    ]),
  );
}

/** Tags that a request sets or takes away. */
export const requestTags = (tags: Readonly<Record<string, string>>): IamContext => ({
  'aws:TagKeys': Object.keys(tags),
  ...Object.fromEntries(Object.entries(tags).map(([name, value]) => [`aws:RequestTag/${name}`, value])),
});
