import type { TunnelRequest } from '../broker/broker-types.ts';
import type { CloudtunError } from '../domain/errors.ts';
import { type Target, targetLabel } from '../domain/target.ts';
import type { Provider } from '../providers/provider.ts';
import { askWhich } from './ask.ts';
import { printable } from './present/printable.ts';

/**
 * Lets a person choose among the targets that share the name they typed.
 *
 * @param ambiguous the CT_TARGET_AMBIGUOUS that came of it
 * @returns the request for the chosen one
 * @throws `ambiguous` when it was not about the name of the request (but about `--via`, say), so that no choice would help
 */
export async function chooseTarget(
  request: TunnelRequest,
  provider: Provider,
  ambiguous: CloudtunError,
  signal: AbortSignal,
): Promise<TunnelRequest> {
  const listed = await provider.finder.list({ kind: request.kind, text: request.text }, signal);
  const same = listed.filter(({ target }) => [target.id, targetLabel(target)].includes(request.text));
  if (same.length < 2) throw ambiguous;
  const choices = same.map(({ target, remark }) => ({
    value: exactName(target),
    name: printable(`${targetLabel(target)}  ${exactName(target)}  ${remark}`),
  }));
  return { ...request, text: await askWhich(`which ${request.text}?`, choices, signal) };
}

/** What names this one and no other. */
function exactName(target: Target): string {
  return target.kind === 'database' ? target.endpoint.host : target.id;
}
