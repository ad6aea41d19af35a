import { turn } from './manual-world.ts';

/** How long a socket of the same machine may take on a busy day. */
const LIMIT = 20_000;

/** Turns of the event loop until something holds: for what sockets bring, which no clock of ours drives. Throws after 20 s. */
export async function until(condition: () => boolean): Promise<void> {
  for (const start = performance.now(); !condition(); await turn()) {
    if (performance.now() - start > LIMIT) throw new Error(`not within ${LIMIT / 1_000} s: ${condition}`);
  }
}
