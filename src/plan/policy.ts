import type { TunnelRequest } from '../broker/broker-types.ts';
import type { CatalogueTarget } from '../config/catalogue.ts';
import { lastHop, type TargetPolicy } from '../config/target-policy.ts';
import { formatDuration, parseDuration } from '../domain/duration.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { formatHours, formatIn, opensAfter, openUntil } from '../domain/opening-hours.ts';
import { isLoopbackAddress } from '../runtime/loopback.ts';
import type { TunnelPlan } from './tunnel-plan.ts';

/*
 * What the policy of the catalogue says to a plan (spec section 4 and 5.4). Pure, and before anything is asked of a cloud;
 * plan/permit.ts records what is refused. It binds whoever uses cloudtun with this catalogue, and nobody else: what must hold for
 * everybody has to be said in the cloud (docs/guides/policy.md).
 */

/** The rules that can refuse, as the journal has them. */
export type PolicyRule = 'requireReason' | 'maxTtl' | 'loopbackOnly' | 'hours' | 'allowKeepActive' | 'encryptedShells';

export type Judgement =
  /** As it may be opened: with the time that is allowed. */
  { readonly plan: TunnelPlan } | { readonly rule: PolicyRule; readonly error: CloudtunError };

/** @param wall milliseconds since 1970 UTC */
export function judge(plan: TunnelPlan, wall: Millis): Judgement {
  const { policy } = plan.settings;
  return (
    hoursJudgement(plan, wall, policy) ?? reasonJudgement(plan) ?? bindJudgement(plan, policy) ?? settled(plan, wall)
  );
}

/** Whether a reason has to be given and is not: what a person may still be asked. */
export function lacksReason({ request, settings }: TunnelPlan): boolean {
  return (request.reason ?? '').trim() === '' && needsReason(request, settings.policy);
}

/** The word of the policy about a shell or a command by Session Manager itself. @param isEncrypted whether KMS keeps the session */
export function shellJudgement(
  policy: Pick<TargetPolicy, 'encryptedShells'>,
  isEncrypted: boolean,
): Extract<Judgement, { readonly rule: PolicyRule }> | undefined {
  if (!policy.encryptedShells || isEncrypted) return undefined;
  return refusal('encryptedShells', 'the policy allows shells in KMS-encrypted sessions only', [
    'name a Session document with a KMS key: --document NAME',
  ]);
}

function settled(plan: TunnelPlan, wall: Millis): Judgement {
  const { settings } = plan;
  const { policy, ttl, saidTtl, keepActive } = settings;
  if (keepActive && policy.allowKeepActive === false) {
    return refusal('allowKeepActive', 'the policy forbids --keep-active', [
      'leave it out: idle sessions end, and new ones open',
    ]);
  }
  const maxTtl = policy.maxTtl === undefined ? undefined : parseDuration(policy.maxTtl, 'maxTtl');
  const isTooLong = maxTtl !== undefined && (ttl === undefined || ttl > maxTtl);
  if (isTooLong && saidTtl !== undefined) {
    const longest = formatDuration(maxTtl);
    return refusal('maxTtl', `the policy allows ${longest} at most, and --ttl is ${saidTtl}`, [
      `open it for less: --ttl ${policy.maxTtl}`,
    ]);
  }
  const end = policy.hours === undefined ? undefined : openUntil(policy.hours, wall);
  return {
    plan: {
      ...plan,
      settings: {
        ...settings,
        ttl: isTooLong ? maxTtl : ttl,
        longest: maxTtl,
        hoursEnd: end === Number.POSITIVE_INFINITY ? undefined : end,
      },
    },
  };
}

function hoursJudgement(_plan: TunnelPlan, wall: Millis, { hours }: TargetPolicy): Judgement | undefined {
  if (hours === undefined || openUntil(hours, wall) !== undefined) return undefined;
  const next = opensAfter(hours, wall);
  return refusal(
    'hours',
    `the policy allows it ${formatHours(hours)}, and there it is ${formatIn(hours, wall)}`,
    next === undefined ? [] : [`try again ${formatIn(hours, next)}`],
  );
}

function reasonJudgement(plan: TunnelPlan): Judgement | undefined {
  if (!lacksReason(plan)) return undefined;
  return refusal('requireReason', `the policy wants a reason for ${plan.request.text}`, [
    'say why: --reason "INC-1234", or CLOUDTUN_REASON',
  ]);
}

function bindJudgement(plan: TunnelPlan, { loopbackOnly }: TargetPolicy): Judgement | undefined {
  if (!loopbackOnly) return undefined;
  const own = plan.rules.flatMap(({ bind }) => bind ?? plan.settings.bind ?? []);
  const listens = [...own.map((address) => ({ address, by: 'the local address' })), ...(plan.listens ?? [])];
  const wide = listens.find(({ address }) => !isLocalOnly(address));
  if (wide === undefined) return undefined;
  return refusal('loopbackOnly', `the policy allows loopback only, and ${wide.by} is ${wide.address || '*'}`, [
    'leave the address out, or say 127.0.0.1, ::1 or localhost',
  ]);
}

/** A Unix socket is reached by nobody else's machine. */
function isLocalOnly(address: string): boolean {
  return address === 'localhost' || address.startsWith('/') || isLoopbackAddress(address);
}

function needsReason(request: TunnelRequest, policy: TargetPolicy): boolean {
  const { requireReason } = policy;
  return requireReason === true || requireReason.some((guarded) => leadsTo(request, guarded, policy));
}

function leadsTo(request: TunnelRequest, guarded: CatalogueTarget, policy: TargetPolicy): boolean {
  if (request.kind === 'database') return guarded.kind === 'database' && isSame(request.text, guarded.database);
  if (guarded.kind === 'machine' && isSame(request.text, guarded.instance)) return true;
  if (guarded.kind === 'host' && request.text === guarded.host) return true;
  if (guarded.kind === 'host' && request.to.some((to) => isHost(to, guarded))) return true;
  return isWayTo(request, guarded, policy);
}

/**
 * Whoever may open any port behind a machine, or log in to it, comes to all that is behind it: the reason for a target would be worth
 * nothing if none were asked there.
 */
function isWayTo(
  request: Extract<TunnelRequest, { kind: 'machine' }>,
  guarded: CatalogueTarget,
  { freeHosts }: TargetPolicy,
): boolean {
  const hop = lastHop(guarded);
  if (hop === undefined || !isSame(request.text, hop.text)) return false;
  const isFree = (to: { readonly host?: string; readonly port: number }) =>
    to.host === undefined || freeHosts.some((free) => isHost(to, free));
  return request.anywhere === true || request.use !== undefined || !request.to.every(isFree);
}

function isHost(
  to: { readonly host?: string; readonly port: number },
  named: { readonly host: string; readonly hostPort: number },
): boolean {
  return to.host?.toLowerCase() === named.host.toLowerCase() && to.port === named.hostPort;
}

/** `acme/zone/web-1` and `web-1` may be the same: a name that might be is taken for it. */
function isSame(asked: string, named: string): boolean {
  const short = (name: string) => name.toLowerCase().split(/[/:]/).at(-1);
  return asked.toLowerCase() === named.toLowerCase() || short(asked) === short(named);
}

function refusal(rule: PolicyRule, message: string, hint: readonly string[]): Extract<Judgement, { rule: PolicyRule }> {
  return {
    rule,
    error: new CloudtunError('CT_POLICY', message, { details: [['rule', `policy.${rule}`]], hint: [...hint] }),
  };
}
