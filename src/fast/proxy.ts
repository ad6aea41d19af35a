import type { Readable, Writable } from 'node:stream';
import type { OpenedTunnel } from '../broker/broker-types.ts';
import { openTunnel } from '../broker/open-tunnel.ts';
import { composeApp } from '../compose.ts';
import { loadCatalogue } from '../config/load.ts';
import { formatDuration } from '../domain/duration.ts';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { PROVIDER_IDS } from '../domain/target.ts';
import { settled } from '../plan/open-planned.ts';
import { permitted, timeIsOver } from '../plan/permit.ts';
import { questionOf, type TunnelPlan } from '../plan/tunnel-plan.ts';
import type { Provider } from '../providers/provider.ts';
import type { World } from '../runtime/world.ts';
import type { ProxyArguments } from './proxy-arguments.ts';
import { planProxy } from './proxy-plan.ts';
import { type ByteCounts, spliceStdio } from './stdio-splice.ts';

/** After an ssh has closed its end: what it sent last is on its way (guessed). */
const SSH_PATIENCE: Millis = 1_000;

/** What carries the stream: the standard streams of the process. */
interface ProxySurroundings {
  readonly input: Readable;
  readonly output: Writable;
  /** For people, on stderr. */
  note(line: string): void;
}

/**
 * `proxy HOST PORT`: opens a stream to a port of a target and joins it with input and output, until one of them is over.
 *
 * @throws CloudtunError; the reason of `signal`. Sessions are ended then, as they are at a regular end
 */
export async function proxy(
  world: World,
  given: ProxyArguments,
  { input, output, note }: ProxySurroundings,
  toldToEnd: AbortSignal,
): Promise<void> {
  const asked = planProxy(given, await loadCatalogue({ ...world, cwd: given.catalogue ?? world.cwd }));
  await using app = await composeApp(world, questionOf(asked), {});
  const plan = permitted(app, asked);
  using ending = await policyEnd(world, plan, note);
  const signal = ending === undefined ? toldToEnd : AbortSignal.any([toldToEnd, ending.signal]);
  const onEvent = () => {};
  const { provider, target } = await settled(
    app,
    { request: plan.request, candidates: app.candidates },
    onEvent,
    signal,
  ).catch((error: unknown) => {
    throw given.login === undefined ? error : named(error, given.target);
  });
  await using opened = await openTunnel(app.contextFor(provider), plan.request, { onEvent, target }, signal);
  const { to } = plan.rules[0]!;
  const start = world.clock.now();
  const preparing = prepared(world, given, { provider, opened, to: to!, user: plan.user }, note, signal);
  // Its failure is awaited below; until then it must not count as unhandled.
  preparing.catch(() => {});
  const stream = await opened.dialer.dial(to!, signal).catch(async (error: unknown) => {
    signal.throwIfAborted();
    // It was taken as named: what the cloud knows of it says more than that no session could be had.
    const isAway = error instanceof CloudtunError && error.code.startsWith('CT_TARGET_');
    if (isAway) await provider.finder.findMachine(opened.target.id, {}, signal);
    throw error;
  });
  await using _login = await preparing;
  const counts: ByteCounts = { bytesUp: 0, bytesDown: 0 };
  try {
    // An ssh closes its end when it is gone, and never before: nobody waits for an answer then.
    const patience = given.login === undefined ? undefined : SSH_PATIENCE;
    await spliceStdio(world, input, output, stream, counts, signal, patience);
  } finally {
    stream.destroy();
    opened.ended({ reason: 'ended', duration: world.clock.now() - start, connections: 1, ...counts });
  }
}

/** Aborts when the time that the policy allows is over; undefined where it says nothing of time. */
async function policyEnd(
  world: World,
  { settings: { longest, hoursEnd } }: TunnelPlan,
  note: (line: string) => void,
): Promise<(Disposable & { readonly signal: AbortSignal }) | undefined> {
  if (longest === undefined && hoursEnd === undefined) return undefined;
  const { LimitWatch } = await import('../forward/limit-watch.ts');
  const over = new AbortController();
  const watch = new LimitWatch(world, { ttl: longest, idle: undefined, grace: 0, hoursEnd }, (step) => {
    if (step.do === 'end') over.abort(timeIsOver(step.because));
    else note(`closing in ${formatDuration(step.left)}: the policy allows no more`);
  });
  return { signal: over.signal, [Symbol.dispose]: () => watch.stop() };
}

/** For an `ssh` whose config says so: its host keys and its key, while the connection is made. */
async function prepared(
  world: World,
  { login, sshFiles, host, port }: ProxyArguments,
  {
    provider,
    opened,
    to,
    user,
  }: {
    readonly provider: Provider;
    readonly opened: OpenedTunnel;
    readonly to: RemoteEndpoint;
    readonly user: string | undefined;
  },
  note: (line: string) => void,
  signal: AbortSignal,
): Promise<AsyncDisposable | undefined> {
  if (login === undefined || sshFiles === undefined) return undefined;
  const { prepareClientLogin } = await import('../ssh/client-login.ts');
  const place = { provider, target: opened.target, to, dialer: opened.dialer };
  return prepareClientLogin(
    world,
    place,
    { user: login, isChosen: login === user, host, port, folder: sshFiles },
    { note },
    signal,
  );
}

/** A name that several clouds have, in the form that ssh takes: `gcp:web-1` would be a host and a path to scp. */
function named(error: unknown, target: string): unknown {
  if (!(error instanceof CloudtunError) || error.code !== 'CT_TARGET_AMBIGUOUS') return error;
  const names = PROVIDER_IDS.filter((id) => error.details.some(([label]) => label === `${id}:${target}`));
  if (names.length === 0) return error;
  const hint = `say which: ${names.map((id) => `${target}.${id}.cloudtun`).join(' or ')}`;
  return new CloudtunError(error.code, error.message, { details: error.details, hint, cause: error.cause });
}
