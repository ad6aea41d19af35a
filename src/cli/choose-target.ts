import type { CandidateCloud } from '../broker/settle-cloud.ts';
import type { CloudtunError } from '../domain/errors.ts';
import { type Target, targetLabel } from '../domain/target.ts';
import type { PlannedRequest } from '../plan/open-planned.ts';
import { askWhich } from './ask.ts';
import { printable } from './present/printable.ts';

/**
 * Lets a person choose among the targets that share the name they typed, in every cloud that may be meant.
 *
 * @param ambiguous the CT_TARGET_AMBIGUOUS that came of it
 * @returns the request for the chosen one
 * @throws `ambiguous` when it was not about the name of the request (but about `--via`, say), so that no choice would help
 */
export async function chooseTarget(
  { request, candidates }: PlannedRequest,
  ambiguous: CloudtunError,
  signal: AbortSignal,
): Promise<PlannedRequest> {
  const isAsked = (kind: Target['kind']) => (kind === 'database') === (request.kind === 'database');
  const listed = await Promise.all(
    candidates.map(async (candidate) => {
      const all = await listAll(candidate, request.text, signal);
      return all.map((each) => ({ ...each, candidate }));
    }),
  );
  const same = listed.flat().filter(({ target }) => isAsked(target.kind) && isCalled(target, request.text));
  if (same.length < 2) throw ambiguous;
  const areIdsUnique = new Set(same.map(({ target }) => target.id)).size === same.length;
  /** What names this one and no other: a cluster and its member may share an identifier, and then the address tells. */
  const exactName = (target: Target) =>
    target.kind === 'database' && !areIdsUnique ? target.endpoint.host : target.id;
  const choices = same.map(({ target, remark, candidate }, index) => ({
    value: String(index),
    name: printable(
      [targetLabel(target), ...(candidates.length > 1 ? [candidate.id] : []), exactName(target), remark].join('  '),
    ),
  }));
  const chosen = same[Number(await askWhich(`which ${request.text}?`, choices, signal))]!;
  return { request: { ...request, text: exactName(chosen.target) }, candidates: [chosen.candidate] };
}

/** What a cloud has by this name; nothing of one that cannot be asked, since the choice is among what was found. */
async function listAll(candidate: CandidateCloud, text: string, signal: AbortSignal) {
  if ('error' in candidate) return [];
  try {
    return await candidate.provider.finder.list({ text }, signal);
  } catch {
    signal.throwIfAborted();
    return [];
  }
}

/** By its id, by its name, or by the name that its id ends with. */
function isCalled(target: Target, text: string): boolean {
  return [target.id, targetLabel(target), target.id.split(/[:/]/).at(-1)].includes(text);
}
