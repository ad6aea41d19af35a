import type { Millis } from '../domain/millis.ts';
import type { TunnelFigures } from './broker-types.ts';

export const NO_FIGURES: TunnelFigures = {
  sessions: 0,
  openStreams: 0,
  bytesUp: 0,
  bytesDown: 0,
  rateUp: 0,
  rateDown: 0,
  roundTripMs: undefined,
  each: [],
};

/** Of several endpoints together; the round trip is the slowest one. */
export function sumFigures(all: readonly TunnelFigures[]): TunnelFigures {
  return all.reduce(
    (sum, each) => ({
      sessions: sum.sessions + each.sessions,
      openStreams: sum.openStreams + each.openStreams,
      bytesUp: sum.bytesUp + each.bytesUp,
      bytesDown: sum.bytesDown + each.bytesDown,
      rateUp: sum.rateUp + each.rateUp,
      rateDown: sum.rateDown + each.rateDown,
      roundTripMs: slowest([sum.roundTripMs, each.roundTripMs]),
      each: [...sum.each, ...each.each],
    }),
    NO_FIGURES,
  );
}

/** The longest of the round trips that are known. */
function slowest(roundTrips: readonly (Millis | undefined)[]): Millis | undefined {
  return roundTrips.reduce(
    (longest, each) => (each !== undefined && each > (longest ?? 0) ? each : longest),
    undefined,
  );
}
