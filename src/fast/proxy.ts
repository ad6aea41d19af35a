import type { Readable, Writable } from 'node:stream';
import { settled } from '../cli/open-planned.ts';
import { questionOf } from '../cli/tunnel-plan.ts';
import { composeApp } from '../compose.ts';
import { loadCatalogue } from '../config/load.ts';
import type { World } from '../runtime/world.ts';
import type { ProxyArguments } from './proxy-arguments.ts';
import { planProxy } from './proxy-plan.ts';
import { type ByteCounts, spliceStdio } from './stdio-splice.ts';

/** What carries the stream: the standard streams of the process. */
interface ProxyStreams {
  readonly input: Readable;
  readonly output: Writable;
}

/**
 * `proxy HOST PORT`: opens a stream to a port of a target and joins it with input and output, until one of them is over.
 *
 * @throws CloudtunError; the reason of `signal`. Sessions are ended then, as they are at a regular end
 */
export async function proxy(
  world: World,
  given: ProxyArguments,
  { input, output }: ProxyStreams,
  signal: AbortSignal,
): Promise<void> {
  const plan = planProxy(given, await loadCatalogue(world));
  await using app = await composeApp(world, questionOf(plan), {});
  const { openTunnel } = await import('../broker/open-tunnel.ts');
  const onEvent = () => {};
  const { provider, target } = await settled(
    app,
    { request: plan.request, candidates: app.candidates },
    onEvent,
    signal,
  );
  await using opened = await openTunnel(app.contextFor(provider), plan.request, { onEvent, target }, signal);
  const { to } = plan.rules[0]!;
  const start = world.clock.now();
  const stream = await opened.dialer.dial(to!, signal);
  const counts: ByteCounts = { bytesUp: 0, bytesDown: 0 };
  try {
    await spliceStdio(world, input, output, stream, counts, signal);
  } finally {
    stream.destroy();
    opened.ended({ reason: 'ended', duration: world.clock.now() - start, connections: 1, ...counts });
  }
}
