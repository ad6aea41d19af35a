/**
 * The frames of the official and the independent client, as recorded against the official agent, go into the lab's agent; what it
 * answers must be what the official agent answered: type, number and payload of its data messages, and the numbers it acknowledged.
 */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { Observations } from '../../src/lab/aws/core/observations.ts';
import type { Destination } from '../../src/lab/destination.ts';
import { DEFAULT_FAULT_PLAN } from '../../src/lab/aws/faults.ts';
import { NodeAgent } from '../../src/lab/aws/node-agent.ts';
import { acknowledgedNumber } from '../../src/transport/ssm/core/acknowledge.ts';
import { decodeMessage } from '../../src/transport/ssm/core/client-message.ts';
import { echo, tcpTarget } from '../support/gateway-lab.ts';
import { manualWorld, turn } from '../support/manual-world.ts';
import { ssmVectors, type TranscriptFrame, unhex } from '../support/ssm-vectors.ts';

const HANDSHAKE_COMPLETE = 7;

interface Said {
  /** `number/payload type/payload in hex` of the agent's data messages, each number once. */
  readonly data: string[];
  /** Input numbers in the order of their acknowledges. */
  readonly acknowledged: number[];
}

function note(said: Said, frame: Buffer): void {
  const message = decodeMessage(frame);
  if (message.messageType === 'acknowledge') {
    said.acknowledged.push(acknowledgedNumber(Buffer.from(message.payload)));
    return;
  }
  if (message.messageType !== 'output_stream_data') return;
  assert.equal(message.flags, message.sequenceNumber === 0n ? 1n : 0n);
  // How long the handshake took is of the run.
  const payload = Buffer.from(message.payload).toString('hex');
  const text = message.payloadType === HANDSHAKE_COMPLETE ? 'complete' : payload;
  const entry = `${message.sequenceNumber}/${message.payloadType}/${text}`;
  if (!said.data.includes(entry)) said.data.push(entry);
}

function official(frames: readonly TranscriptFrame[]): Said {
  const said: Said = { data: [], acknowledged: [] };
  for (const frame of frames) {
    if (frame.from === 'agent' && frame.kind === 'binary') note(said, unhex(frame.hex!));
  }
  return said;
}

/** Says `echo:` and what it heard; `quit` makes it say `bye` and close. */
function prefixing(banner?: string): (socket: Socket) => void {
  return (socket) => {
    if (banner !== undefined) socket.write(banner);
    socket.on('data', (data: Buffer) => {
      if (data.toString() === 'quit') socket.end('bye');
      else socket.write(`echo:${data.toString()}`);
    });
  };
}

const TARGETS: Readonly<Record<string, ((socket: Socket) => void) | undefined>> = {
  'mux-port-official-client': echo,
  'mux-port-connect-failure': undefined,
  'mux-port-early-fin': (socket) => socket.on('end', () => socket.end('reply')).resume(),
  'mux-port-target-half-close': (socket) => socket.once('data', () => socket.end('bye')),
  'mux-port-order-and-digest': echo,
  'data-before-handshake-is-swallowed': echo,
  'basic-port': prefixing(),
  'basic-port-connect-failure': undefined,
  'ssh-port': prefixing('SSH-2.0-x\r\n'),
};

const transcripts = ssmVectors('transcripts').filter(({ name }) => name in TARGETS);

test('every port transcript is replayed', () => {
  assert.equal(transcripts.length, Object.keys(TARGETS).length);
});

for (const { name, frames } of transcripts) {
  test(name, async (t) => {
    const target = TARGETS[name];
    const destination: Destination =
      target === undefined
        ? { kind: 'refused' }
        : { kind: 'address', host: '127.0.0.1', port: await tcpTarget(t, target) };
    const request = JSON.parse(
      frames.find((frame) => frame.summary?.payloadType === 5 && frame.from === 'agent')!.summary!.payloadText!,
    ) as {
      AgentVersion: string;
      RequestedClientActions: [{ ActionParameters: { Properties: Record<string, string> } }];
    };
    const said: Said = { data: [], acknowledged: [] };
    const { world, clock } = manualWorld();
    let ended: string | undefined;
    using agent = new NodeAgent({
      world,
      session: {
        sessionId: 'alice-0123456789abcdef0',
        targetId: 'i-1',
        owner: 'alice',
      ownerId: 'AIDAEXAMPLE',
      ownerArn: 'alice',
        documentName: 'AWS-StartPortForwardingSession',
        sessionType: 'Port',
        agentVersion: request.AgentVersion,
        status: 'Connected',
        startedAt: 0,
        properties: request.RequestedClientActions[0].ActionParameters.Properties,
      },
      observations: new Observations(() => {}),
      plan: () => DEFAULT_FAULT_PLAN,
      resolveDestination: () => destination,
      vpcCidrs: [],
      send: (memory, offset, byteCount) => note(said, Buffer.from(memory.subarray(offset, offset + byteCount))),
      isWireFull: () => false,
      isClientConnected: () => true,
      isInputReliable: () => true,
      unblocked: () => {},
      ended: (output) => {
        ended = output;
      },
    });
    const expected: Said = { data: [], acknowledged: [] };
    /** Lets time and the loopback go on until the agent has said what the official one had said by then. */
    const untilSaid = async () => {
      for (let turns = 0; turns < 2_000; turns++) {
        if (said.data.length >= expected.data.length && said.acknowledged.length >= expected.acknowledged.length) break;
        await turn();
        clock.tick(1);
      }
      // It may have said more: the recorded agent sat behind a network.
      assert.deepEqual(said.data.slice(0, expected.data.length), expected.data);
      assert.deepEqual(said.acknowledged.slice(0, expected.acknowledged.length), expected.acknowledged);
    };
    const all = official(frames);
    let before = 0;
    for (const frame of frames) {
      // A pause in the recording is time for a connect on the loopback.
      for (let pause = Math.min(frame.ms - before, 100); pause > 0 && before > 0; pause--) {
        await turn();
        clock.tick(1);
      }
      before = frame.ms;
      if (frame.kind !== 'binary') continue;
      if (frame.from === 'agent') {
        note(expected, unhex(frame.hex!));
      } else {
        await untilSaid();
        agent.receive(unhex(frame.hex!));
      }
    }
    await untilSaid();
    assert.deepEqual(said, all);
    const failure = name === 'basic-port-connect-failure';
    const endsByItself = failure || ['mux-port-official-client', 'basic-port', 'ssh-port'].includes(name);
    for (let turns = 0; turns < 200 && ended === undefined && endsByItself; turns++) {
      await turn();
      clock.tick(20);
    }
    assert.equal(ended !== undefined, endsByItself);
    if (failure) assert.match(ended!, /^Unable to connect to specified port: /);
    else assert.equal(ended ?? '', '');
  });
}
