import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Verdict } from '../../../../../src/lab/aws/core/agent-channel.ts';
import { type AgentKnobs, AgentSession, type PortMode } from '../../../../../src/lab/aws/core/agent-session.ts';
import { Observations } from '../../../../../src/lab/aws/core/observations.ts';
import { seededRandom } from '../../../../support/manual-world.ts';
import { decode, encode, type PeerMessage } from '../../../../support/ssm-peer.ts';

const KNOBS: AgentKnobs = {
  handshakeRequests: 1,
  completeBeforeAcknowledge: false,
  notReadyMs: 0,
  verifyInput: true,
};
const FORWARDING = { portNumber: '80', type: 'LocalPortForwarding' };

class Bench {
  readonly violations: string[] = [];
  readonly observations = new Observations((what) => this.violations.push(what));
  readonly taken: string[] = [];
  readonly modes: PortMode[] = [];
  disconnects = 0;
  ended: string | undefined;
  isInputReliable = true;
  now = 0;
  readonly session: AgentSession;
  readonly left: PeerMessage[] = [];
  #nextInput = 0;

  constructor(
    options: {
      readonly knobs?: Partial<AgentKnobs>;
      readonly agentVersion?: string;
      readonly type?: string | null;
    } = {},
  ) {
    const { type = 'LocalPortForwarding' } = options;
    this.session = new AgentSession(
      {
        agentVersion: options.agentVersion ?? '3.3.1142.0',
        properties: type === null ? { portNumber: '80' } : { ...FORWARDING, type },
        randomBytes: seededRandom().bytes,
        wallOffset: 1_700_000_000_000,
        observations: this.observations,
        knobs: () => ({ ...KNOBS, ...options.knobs }),
        isInputReliable: () => this.isInputReliable,
        emit: (memory, offset, byteCount) =>
          this.left.push(decode(Buffer.from(memory.subarray(offset, offset + byteCount)))),
        startPort: (mode) => this.modes.push(mode),
        ended: (output) => {
          this.ended = output;
        },
      },
      0,
    );
  }

  input(payloadType: number, payload: Buffer | string, number = this.#nextInput++): number {
    const frame = encode('input_stream_data', number, 0, payloadType, Buffer.from(payload));
    this.session.receive(frame, this.now);
    return number;
  }

  respond(clientVersion = '1.2.764.0', change: Record<string, unknown> = {}): number {
    const action = { ActionType: 'SessionType', ActionStatus: 1, ActionResult: null, Error: '', ...change };
    return this.input(
      6,
      JSON.stringify({ ClientVersion: clientVersion, ProcessedClientActions: [action], Errors: null }),
    );
  }

  serve(verdict: Verdict = 'taken'): void {
    this.respond();
    this.session.usePort({
      take: (payload) => {
        this.taken.push(payload.toString());
        return verdict;
      },
      disconnect: () => {
        this.disconnects += 1;
      },
    });
  }

  /** Acknowledges every output so far. */
  acknowledgeAll(): void {
    for (const { type, number } of [...this.left]) {
      if (type !== 'output_stream_data') continue;
      const text = JSON.stringify({ AcknowledgedMessageSequenceNumber: number });
      this.session.receive(encode('acknowledge', 0, 3, 0, Buffer.from(text)), this.now);
    }
  }

  get kinds(): string[] {
    return this.left.map(({ type, payloadType }) => (type === 'acknowledge' ? 'ack' : `output type ${payloadType}`));
  }

  get acknowledged(): number[] {
    return this.left
      .filter(({ type }) => type === 'acknowledge')
      .map(
        ({ payload }) => (JSON.parse(payload.toString()) as Record<string, number>).AcknowledgedMessageSequenceNumber!,
      );
  }

  tickTo(now: number): void {
    this.now = now;
    this.session.tick(now);
  }
}

test('the request is output 0, the response is acknowledged, then Complete follows with the time it took', () => {
  const bench = new Bench();
  const request = JSON.parse(bench.left[0]!.payload.toString()) as Record<string, unknown>;
  assert.deepEqual(request, {
    AgentVersion: '3.3.1142.0',
    RequestedClientActions: [
      { ActionType: 'SessionType', ActionParameters: { SessionType: 'Port', Properties: FORWARDING } },
    ],
  });
  bench.now = 12.5;
  bench.respond();
  assert.deepEqual(bench.kinds, ['output type 5', 'ack', 'output type 7']);
  assert.equal(bench.left[2]?.payload.toString(), '{"HandshakeTimeToComplete":12500000,"CustomerMessage":""}');
});

test('Complete may leave before the acknowledge of the response', () => {
  const bench = new Bench({ knobs: { completeBeforeAcknowledge: true } });
  bench.respond();
  assert.deepEqual(bench.kinds, ['output type 5', 'output type 7', 'ack']);
});

test('input before Complete is acknowledged, thrown away, and a violation', () => {
  const bench = new Bench();
  bench.input(1, 'too early');
  bench.serve();
  bench.input(1, 'in time');
  assert.deepEqual(bench.acknowledged, [0, 1, 2]);
  assert.deepEqual(bench.taken, ['in time']);
  assert.deepEqual(bench.violations, ['input of payload type 1 before HandshakeComplete']);
});

test('a second response wedges the session: no acknowledge, no data, while the timer goes on', () => {
  const bench = new Bench();
  bench.serve();
  const before = bench.left.length;
  bench.respond();
  bench.input(1, 'never');
  bench.acknowledgeAll();
  bench.session.retry(10);
  assert.equal(bench.left.length, before);
  assert.deepEqual(bench.taken, []);
  assert.equal(bench.observations.counters.secondHandshakeResponses, 1);
  bench.tickTo(300);
  assert.equal(bench.left.length, before + 1);
});

test('a repeat of the first response is only acknowledged again', () => {
  const bench = new Bench();
  bench.serve();
  bench.input(6, bench.left[0]!.payload, 0);
  bench.input(1, 'alive');
  assert.deepEqual(bench.acknowledged, [0, 0, 1]);
  assert.deepEqual(bench.taken, ['alive']);
});

test('without a response the session ends after 15 s, and 2 s for what is not acknowledged', () => {
  const bench = new Bench();
  bench.tickTo(14_999);
  assert.equal(bench.ended, undefined);
  bench.tickTo(15_000);
  assert.equal(bench.ended, undefined);
  assert.equal(bench.session.wakeAt! <= 17_000, true);
  bench.tickTo(17_000);
  assert.match(bench.ended ?? '', /^Handshake timed out\. Please ensure/);
  assert.equal(bench.session.wakeAt, undefined);
});

for (const [what, change, reason] of [
  ['a failed action', { ActionStatus: 2, Error: 'no' }, /Failed to process action SessionType: no/],
  ['an action coded as unsupported', { ActionStatus: 3 }, /Failed to process action SessionType/],
  ['an answer to another action', { ActionType: 'KMSEncryption' }, /SessionType action was not processed/],
] as const) {
  test(`${what} ends the session`, () => {
    const bench = new Bench();
    bench.respond('1.2.764.0', change);
    bench.acknowledgeAll();
    assert.match(bench.ended ?? '', reason);
    assert.deepEqual(bench.acknowledged, [0]);
    assert.deepEqual(bench.modes, []);
  });
}

for (const [agentVersion, clientVersion, type, mode] of [
  ['3.3.1142.0', '1.2.764.0', 'LocalPortForwarding', { kind: 'mux', keepAlive: false }],
  ['3.3.1142.0', '1.2.0.0', 'LocalPortForwarding', { kind: 'mux', keepAlive: true }],
  ['3.1.1511.0', '1.2.764.0', 'LocalPortForwarding', { kind: 'mux', keepAlive: true }],
  ['3.0.196.0', '1.2.764.0', 'LocalPortForwarding', { kind: 'plain', redials: true }],
  ['3.3.1142.0', '1.1.0.0', 'LocalPortForwarding', { kind: 'plain', redials: true }],
  ['3.3.1142.0', '1.2.764.0', null, { kind: 'plain', redials: false }],
] as const) {
  test(`agent ${agentVersion}, client ${clientVersion}, type ${type}: ${JSON.stringify(mode)}`, () => {
    const bench = new Bench({ agentVersion, type });
    bench.respond(clientVersion);
    assert.deepEqual(bench.modes, [mode]);
  });
}

test('data is not acknowledged until the port is open, nor for a while after Complete', () => {
  const bench = new Bench({ knobs: { notReadyMs: 50 } });
  bench.respond();
  bench.input(1, 'a', 1);
  bench.session.usePort({ take: () => 'taken', disconnect: () => {} });
  bench.now = 49;
  bench.input(1, 'a', 1);
  assert.deepEqual(bench.acknowledged, [0]);
  bench.now = 50;
  bench.input(1, 'a', 1);
  assert.deepEqual(bench.acknowledged, [0, 1]);
});

test('the terminate flag is acknowledged, then the session ends when its output is acknowledged', () => {
  const bench = new Bench();
  bench.serve();
  const flag = bench.input(10, Buffer.from([0, 0, 0, 2]));
  assert.equal(bench.acknowledged.at(-1), flag);
  assert.equal(bench.ended, undefined);
  bench.acknowledgeAll();
  assert.equal(bench.ended, '');
});

test('the terminate flag ends the session after 2 s whatever is not acknowledged', () => {
  const bench = new Bench();
  bench.serve();
  bench.input(10, Buffer.from([0, 0, 0, 2]));
  bench.tickTo(1_999);
  assert.equal(bench.ended, undefined);
  bench.tickTo(2_000);
  assert.equal(bench.ended, '');
});

test('other payload types: acknowledged and ignored, but a challenge response is not acknowledged', () => {
  const bench = new Bench();
  bench.serve();
  bench.input(0, 'x');
  bench.input(3, '{"cols":80,"rows":24}');
  bench.input(9, 'x', 3);
  assert.deepEqual(bench.acknowledged, [0, 1, 2]);
  assert.deepEqual(bench.taken, []);
  assert.equal(bench.violations.length, 3);
});

test('the disconnect flag reaches the port, and in mux mode it is a violation', () => {
  const bench = new Bench();
  bench.serve();
  bench.input(10, Buffer.from([0, 0, 0, 1]));
  assert.equal(bench.disconnects, 1);
  assert.deepEqual(bench.violations, ['flag DisconnectToPort in mux mode']);
});

test('input that is missing at the end is a violation, unless the way in lost some', () => {
  for (const isInputReliable of [true, false]) {
    const bench = new Bench();
    bench.isInputReliable = isInputReliable;
    bench.serve();
    bench.input(1, 'c', 3);
    bench.session.cancel();
    assert.deepEqual(bench.violations, isInputReliable ? ['the session ended without input 1, 2'] : []);
  }
});

test('extra handshake requests are the same message', () => {
  const bench = new Bench({ knobs: { handshakeRequests: 3 } });
  assert.deepEqual(
    bench.left.map(({ number, payloadType }) => [number, payloadType]),
    [
      [0, 5],
      [0, 5],
      [0, 5],
    ],
  );
});
