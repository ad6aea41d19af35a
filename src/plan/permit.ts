import type { AuditSink } from '../domain/audit-sink.ts';
import { CloudtunError } from '../domain/errors.ts';
import { hostUser } from '../runtime/host-user.ts';
import type { World } from '../runtime/world.ts';
import { judge } from './policy.ts';
import type { TunnelPlan } from './tunnel-plan.ts';

/**
 * The plan as the policy of the catalogue allows it: with the time that is allowed and the end of its hours. Everything that opens
 * something goes through here before a cloud is asked; twice does no harm.
 *
 * @throws CT_POLICY, recorded in the journal
 */
export function permitted(app: { readonly world: World; readonly journal: AuditSink }, plan: TunnelPlan): TunnelPlan {
  const judgement = judge(plan, app.world.clock.wall());
  if ('plan' in judgement) return judgement.plan;
  const { rule, error } = judgement;
  const { text, reason } = plan.request;
  const { user, host } = hostUser();
  try {
    app.journal.record({
      event: 'denial',
      rule,
      asked: text,
      hostUser: user,
      host,
      pid: app.world.pid,
      ...(plan.request.kind === 'machine' && plan.request.use !== undefined && { use: plan.request.use }),
      ...(reason !== undefined && { reason }),
      code: error.code,
      message: error.message,
    });
  } catch (failure) {
    // Nothing is opened either way.
    app.world.log.warn(failure instanceof Error ? failure.message : String(failure));
  }
  throw error;
}

/** Why something that has no limits of its own was ended. */
export function timeIsOver(because: 'ttl' | 'idle' | 'hours'): CloudtunError {
  const what =
    because === 'hours' ? 'the hours that the policy allows are over' : 'the time that the policy allows is over';
  return new CloudtunError('CT_POLICY', what, {
    details: [['rule', because === 'hours' ? 'policy.hours' : 'policy.maxTtl']],
  });
}
