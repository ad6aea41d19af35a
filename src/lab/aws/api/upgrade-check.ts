import type { IncomingMessage } from 'node:http';
import type { World } from '../../../runtime/world.ts';
import type { ApiFaults } from '../../api-faults.ts';
import type { CallLog } from '../../call-log.ts';
import type { UpgradeVerdict } from '../gateway.ts';
import type { IamGate } from '../iam/iam-gate.ts';
import type { KeyRing } from '../principals.ts';
import type { SessionStore } from '../sessions.ts';
import { checkSigV4 } from '../sigv4-check.ts';

export const OPEN_DATA_CHANNEL = 'ssmmessages:OpenDataChannel';
const NO_BODY = new Uint8Array();

/**
 * Checks a signed websocket upgrade (docs/protocol/ssm.md, "Signed upgrade"): service `ssmmessages`, the lab's keys, the permission to
 * open a data channel, and the fault knobs of that action.
 */
export async function checkUpgrade(
  parts: {
    readonly world: Pick<World, 'clock'>;
    readonly keys: KeyRing;
    readonly iam: IamGate;
    readonly sessions: SessionStore;
    readonly faults: ApiFaults;
    readonly calls: CallLog;
  },
  request: IncomingMessage,
  sessionId: string,
): Promise<UpgradeVerdict> {
  const now = parts.world.clock.wall();
  const { method = 'GET', url: target = '/', headers } = request;
  const signed = { method, target, headers, body: NO_BODY };
  const verdict = checkSigV4(signed, (accessKeyId) => parts.keys.find(accessKeyId), now);
  const refuse = (status: number, message: string): UpgradeVerdict => {
    const caller = verdict.ok ? { caller: verdict.key.principal.arn } : {};
    parts.calls.add({ action: OPEN_DATA_CHANNEL, outcome: `refused: ${message}`, at: now, ...caller });
    return { accepted: false, status, message };
  };
  if (!verdict.ok) return refuse(403, verdict.message);
  if (verdict.scope.service !== 'ssmmessages') {
    return refuse(403, "Credential should be scoped to correct service: 'ssmmessages'.");
  }
  const { key, scope } = verdict;
  const { principal } = key;
  const session = parts.sessions.get(sessionId);
  const resources = session && [parts.iam.sessionResource(session, scope.region)];
  const refusal = parts.iam.refuse({ key, region: scope.region, action: OPEN_DATA_CHANNEL, resources });
  const where = refusal === undefined ? '' : ` on resource: ${refusal.resource} ${refusal.because}`;
  const denial = `User: ${principal.arn} is not authorized to perform: ${OPEN_DATA_CHANNEL}${where}`;
  if (refusal !== undefined) return refuse(403, denial);
  for (const { kind, delay } of parts.faults.strike(OPEN_DATA_CHANNEL)) {
    if (kind === 'latency') {
      await parts.world.clock.sleep(delay ?? 0);
      continue;
    }
    if (kind === 'deny') return refuse(403, denial);
    if (kind === 'expired-token') return refuse(403, 'The security token included in the request is expired');
    if (kind === 'throttle') return refuse(429, 'Rate exceeded');
    return refuse(kind === 'internal-error' ? 500 : 503, 'the gateway has trouble');
  }
  parts.calls.add({ action: OPEN_DATA_CHANNEL, outcome: 'ok', at: now, caller: principal.arn });
  return { accepted: true };
}
