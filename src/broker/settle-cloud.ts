import { asCloudtunError, CloudtunError, type ErrorDetail } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { type CloudTarget, type ProviderId, targetLabel } from '../domain/target.ts';
import type { Provider } from '../providers/provider.ts';
import { unlessAborted } from '../runtime/deadline.ts';
import type { World } from '../runtime/world.ts';
import type { TunnelRequest } from './broker-types.ts';
import { entryRequest } from './login-way.ts';
import { findTarget } from './route.ts';

/** A cloud that a target may be in; with an error when it could not even be set up (a region or profile that is missing). */
export type CandidateCloud =
  | { readonly id: ProviderId; readonly provider: Provider }
  | { readonly id: ProviderId; readonly error: CloudtunError };

/** The cloud that has the target. */
export interface SettledCloud {
  readonly provider: Provider;
  /** What was found, where it had to be looked for to settle it. */
  readonly target?: CloudTarget;
}

/** How much longer the others may look after one has found it. Guessed: a person waits, and most clouds answer within one second. */
const OTHERS_LIMIT: Millis = 5_000;

type Answer =
  | { readonly is: 'found'; readonly id: ProviderId; readonly provider: Provider; readonly target: CloudTarget }
  | { readonly is: 'failed'; readonly id: ProviderId; readonly error: CloudtunError };

/** The cloud has something of this name, though it cannot be used now. */
const HAS_IT: ReadonlySet<string> = new Set(['CT_TARGET_STOPPED', 'CT_TARGET_OFFLINE', 'CT_TARGET_AMBIGUOUS']);

/**
 * Which cloud a target is in. One candidate is taken as it is; several are asked at the same time. A cloud that fails does not hide
 * what another one has, and its failure is told when none has it.
 *
 * @throws CT_TARGET_AMBIGUOUS listing `aws:web-1` and `gcp:web-1`; the failure of the clouds when none has it; the reason of `signal`
 */
export async function settleCloud(
  world: World,
  candidates: readonly CandidateCloud[],
  request: TunnelRequest,
  signal: AbortSignal,
): Promise<SettledCloud> {
  const [first, second] = candidates;
  if (first && !second) {
    if ('error' in first) throw first.error;
    return { provider: first.provider };
  }
  const answers = await askAll(world, candidates, request, signal);
  const having = answers.filter((answer) => answer.is === 'found' || HAS_IT.has(answer.error.code));
  if (having.length > 1) throw ambiguous(request, having);
  const [one] = having;
  if (one === undefined) throw combinedFailure(answers.filter((answer) => answer.is === 'failed'));
  if (one.is === 'failed') throw one.error;
  for (const other of answers) {
    if (other.is === 'failed' && other.error.code !== 'CT_TARGET_NOT_FOUND')
      // Not only with -v: whoever signs in there later may be led to another machine of this name.
      world.log.warn(
        `${other.id} could not be asked for "${request.text}": ${other.error.message} (${other.error.code}); ` +
          `${one.id}:${request.text} is taken`,
      );
  }
  return { provider: one.provider, target: one.target };
}

async function askAll(
  world: World,
  candidates: readonly CandidateCloud[],
  request: TunnelRequest,
  signal: AbortSignal,
): Promise<readonly Answer[]> {
  const late = new AbortController();
  let timer: { cancel(): void } | undefined;
  const either = AbortSignal.any([signal, late.signal]);
  const ask = async (candidate: CandidateCloud): Promise<Answer> => {
    if ('error' in candidate) return { ...candidate, is: 'failed' };
    const { id, provider } = candidate;
    try {
      const target = await unlessAborted(
        findTarget(provider.finder, entryRequest(request), either, { mustExist: true }),
        either,
      );
      timer ??= world.clock.after(OTHERS_LIMIT, () =>
        late.abort(new CloudtunError('CT_TIMEOUT', `${provider.label} did not answer`)),
      );
      return { is: 'found', id, provider, target };
    } catch (thrown) {
      signal.throwIfAborted();
      return { is: 'failed', id, error: asCloudtunError(late.signal.aborted ? late.signal.reason : thrown) };
    }
  };
  try {
    return await Promise.all(candidates.map(ask));
  } finally {
    timer?.cancel();
  }
}

function ambiguous(request: TunnelRequest, having: readonly Answer[]): CloudtunError {
  const names = having.map(({ id }) => `${id}:${request.text}`);
  const details = having.map((answer): ErrorDetail => [`${answer.id}:${request.text}`, describe(answer)]);
  return new CloudtunError(
    'CT_TARGET_AMBIGUOUS',
    `"${request.text}" is in ${having.map(({ id }) => id).join(' and in ')}`,
    {
      details,
      hint: `say which: ${names.join(' or ')}`,
    },
  );
}

function describe(answer: Answer): string {
  if (answer.is === 'failed') return answer.error.message;
  const { target, provider } = answer;
  return target.id === targetLabel(target) ? provider.label : `${target.id}, ${provider.label}`;
}

/**
 * One error for the failures of several clouds. That a name is not there says less than a cloud that could not be asked, whose
 * error comes first then, with its exit code.
 */
export function combinedFailure(
  failures: readonly { readonly id: ProviderId; readonly error: CloudtunError }[],
): CloudtunError {
  const [first, second] = failures;
  if (first === undefined) return new CloudtunError('CT_INTERNAL', 'no cloud was asked');
  if (second === undefined) return first.error;
  const main = failures.find((failure) => !isMissing(failure));
  if (main === undefined) {
    const message = failures.map(({ error }) => error.message).join(', and ');
    const details = failures.flatMap(({ error }) => error.details);
    return new CloudtunError(first.error.code, message, { details, hint: allHints(failures) });
  }
  // What is wrong with the name itself is said once.
  const others = failures.filter(({ error }) => error !== main.error && error.message !== main.error.message);
  return new CloudtunError(main.error.code, main.error.message, {
    details: [
      ...main.error.details,
      ...others.flatMap(({ id, error }): ErrorDetail[] => [[id, `${error.message} (${error.code})`], ...error.details]),
    ],
    hint: allHints([main, ...others]),
    cause: main.error.cause,
  });
}

type Failure = { readonly error: CloudtunError };

const isMissing = ({ error }: Failure) => error.code === 'CT_TARGET_NOT_FOUND';

/** Nearest names of all clouds together, then what else each says, once. */
function allHints(failures: readonly Failure[]): readonly string[] {
  const hints = failures.flatMap(({ error }) => error.hints);
  const near = hints.filter((hint) => hint.startsWith(NEAR)).map((hint) => hint.slice(NEAR.length));
  const others = hints.filter((hint) => !hint.startsWith(NEAR));
  return [
    ...(near.length > 0 ? [NEAR + [...new Set(near.flatMap((names) => names.split(', ')))].join(', ')] : []),
    ...new Set(others),
  ];
}

/** How finders begin the hint with the nearest names. */
const NEAR = 'did you mean: ';
