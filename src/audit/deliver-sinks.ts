import type { Millis } from '../domain/millis.ts';
import { withDeadline } from '../runtime/deadline.ts';
import type { World } from '../runtime/world.ts';
import { type Delivery, deliverJournal, type NamedSink } from './deliver-journal.ts';

/** How long a command may take longer because of its sinks. */
const AT_THE_END: Millis = 2_000;

export interface SinkDelivery {
  readonly sink: string;
  readonly delivery: Delivery;
}

/** Sends every sink what it lacks, all at the same time. Never rejects for what a sink does. */
export function deliverSinks(
  world: World,
  path: string,
  sinks: readonly NamedSink[],
  signal: AbortSignal,
  isForced = false,
): Promise<readonly SinkDelivery[]> {
  return Promise.all(
    sinks.map(async (sink) => ({
      sink: sink.name,
      delivery: await deliverJournal(world, path, sink, signal, isForced),
    })),
  );
}

/** How often a process that lives on sends what was recorded meanwhile. */
const EVERY: Millis = 60_000;

/** Sends now and then for as long as a process lives; disposing it waits for what is under way. @param send never rejects */
export function deliverNowAndThen({ clock }: Pick<World, 'clock'>, send: () => Promise<void>): AsyncDisposable {
  let sending = Promise.resolve();
  let timer = clock.after(EVERY, run, { background: true });
  function run(): void {
    sending = send().then(() => {
      timer = clock.after(EVERY, run, { background: true });
    });
  }
  let isOver = false;
  return {
    [Symbol.asyncDispose]: async () => {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      await sending;
      timer.cancel();
    },
  };
}

/** The same at the end of a command, for a short time; what does not get through waits for the next one. One warning a failure. */
export async function deliverAtTheEnd(world: World, path: string, sinks: readonly NamedSink[]): Promise<void> {
  try {
    const results = await withDeadline(world.clock, AT_THE_END, (signal) => deliverSinks(world, path, sinks, signal));
    for (const { sink, delivery } of results) {
      if (delivery.outcome !== 'failed' || !delivery.isNew) continue;
      const { message, code } = delivery.error;
      world.log.warn(`the journal is not sent to ${sink}: ${message} (${code}); it waits here: cloudtun audit sinks`);
    }
  } catch (error) {
    world.log.info(`the journal was not sent: ${error instanceof Error ? error.message : String(error)}`);
  }
}
