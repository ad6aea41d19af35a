/** Numbers of the relay since the start, for one session or the sum of all. Bytes are payload. */
export interface RelayCounters {
  connects: number;
  reconnects: number;
  /** Upgrades answered with another status than 101. */
  refusedUpgrades: number;
  /** Closes sent instead of tag 1 or 2. */
  rejectedSessions: number;
  /** Websockets cut by a fault, 4004 not included. */
  cuts: number;
  reauthentications: number;
  dataFramesUp: number;
  dataFramesDown: number;
  /** First sendings. */
  bytesUp: number;
  bytesDown: number;
  /** Payload sent again after reconnects. */
  repeatedBytesDown: number;
  /** Of ACK frames: the client's, and ours. */
  acksUp: number;
  acksDown: number;
  /** ACKs of the client that said nothing new. */
  idleAcks: number;
  maxUnacknowledgedDown: number;
  pings: number;
}

export function noRelayCounts(): RelayCounters {
  return {
    connects: 0,
    reconnects: 0,
    refusedUpgrades: 0,
    rejectedSessions: 0,
    cuts: 0,
    reauthentications: 0,
    dataFramesUp: 0,
    dataFramesDown: 0,
    bytesUp: 0,
    bytesDown: 0,
    repeatedBytesDown: 0,
    acksUp: 0,
    acksDown: 0,
    idleAcks: 0,
    maxUnacknowledgedDown: 0,
    pings: 0,
  };
}

/** Adds `more` to `sum`; of the "max" one the larger. */
export function addRelayCounts(sum: RelayCounters, more: Readonly<RelayCounters>): void {
  for (const key of Object.keys(sum) as (keyof RelayCounters)[]) {
    sum[key] = key === 'maxUnacknowledgedDown' ? Math.max(sum[key], more[key]) : sum[key] + more[key];
  }
}
