import type { OpenedTunnel } from './broker-types.ts';

/** The same tunnel with some parts replaced: one that leads further, over a login that was made through it. */
export function tunnelWith(opened: OpenedTunnel, parts: Partial<OpenedTunnel>): OpenedTunnel {
  return {
    target: opened.target,
    identity: opened.identity,
    routes: opened.routes,
    dialer: opened.dialer,
    lost: opened.lost,
    stats: () => opened.stats(),
    client: (record) => opened.client(record),
    denied: (error) => opened.denied(error),
    runs: (program) => opened.runs(program),
    ended: (record) => opened.ended(record),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
    ...parts,
  };
}
