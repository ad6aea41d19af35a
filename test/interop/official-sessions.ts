/** The life of a session of the official plugin: modes, loss of the websocket, the end. */
import { randomBytes } from 'node:crypto';
import { BASTION_ID } from '../bench/lab-process.ts';
import { echo } from '../support/transfers.ts';
import { type Check, judge, ok, seconds } from './check.ts';
import { connected, echoExactly } from './local-client.ts';
import { ECHO_PORT } from './official-transfers.ts';
import { eventually, within } from './within.ts';

/** The practice machine whose agent knows no multiplexing. */
const OLD_AGENT_ID = 'i-0a1b2c3d4e5f60004';
const LIMIT_MS = 60_000;
/** From the flag that ends a session to a list without it. */
const LIST_LIMIT_MS = 3_000;

export const endCheck: Check = {
  name: 'end',
  needs: ['aws', 'plugin'],
  async run({ official, lab }) {
    const findings = [];
    for (const withConnection of [false, true]) {
      const session = await official.open({ port: ECHO_PORT });
      const held = withConnection ? await connected(session.port) : undefined;
      if (held) await within(LIMIT_MS, 'no echo', echo(held, Buffer.from('x')));
      const interrupted = performance.now();
      const { code } = await official.end(session.program);
      const ms = performance.now() - interrupted;
      held?.destroy();
      const isEmpty = await eventually(LIST_LIMIT_MS, async () => (await lab.report()).sessions.length === 0);
      const left = isEmpty ? "the lab's session list is empty" : `left: ${(await lab.report()).sessions.join(', ')}`;
      const what = `Ctrl-C ${withConnection ? 'with an open connection' : 'at rest'}`;
      findings.push(judge(isEmpty, `${what}: exit code ${code} after ${seconds(ms)}, ${left}`));
    }
    return { findings };
  },
};

export const basicCheck: Check = {
  name: 'basic',
  needs: ['aws', 'plugin'],
  async run({ official }) {
    const { program, port } = await official.startOn(OLD_AGENT_ID, { port: ECHO_PORT });
    await program.saw(/Port \d+ opened for sessionId/, LIMIT_MS);
    for (let connection = 0; connection < 2; connection++) await echoExactly(port, 100_000, LIMIT_MS);
    await official.end(program);
    return { findings: [ok('an agent without multiplexing: 100 kB echoed on each of two connections, byte-exact')] };
  },
};

export const rawCheck: Check = {
  name: 'raw',
  needs: ['aws', 'plugin'],
  async run({ official, lab }) {
    const program = official.startSession(BASTION_ID, 'AWS-StartSSHSession', { portNumber: ECHO_PORT });
    // Its own words come on stdout too, before the bytes.
    await program.saw(/Starting session with SessionId: \S+\n/, LIMIT_MS);
    const bytes = randomBytes(100_000);
    const isBack = () => program.stdout().subarray(-bytes.length).equals(bytes);
    program.stdin?.write(bytes);
    const arrived = await eventually(LIMIT_MS, isBack);
    const sessionId = await official.sessionIdOf(program);
    program.stdin?.end();
    const { code } = await program.end();
    // This client leaves the session open when its stdin ends; who comes after it calls TerminateSession.
    await official.call('ssm', 'terminate-session', '--session-id', sessionId);
    const isGone = await eventually(LIST_LIMIT_MS, async () => !(await lab.report()).sessions.includes(sessionId));
    return {
      findings: [
        judge(arrived, '100 kB echoed through stdin and stdout (AWS-StartSSHSession), byte-exact'),
        judge(isGone, `end of stdin: exit code ${code}; aws ssm terminate-session ends the session`),
      ],
    };
  },
};

/**
 * The service's routine close, at rest: a websocket that is cut while this version sends ends its upload for good (it gives up at the
 * first failed write; mended upstream in 1.2.835).
 */
export const resumeCheck: Check = {
  name: 'resume',
  needs: ['aws', 'plugin'],
  async run({ official, lab }) {
    const websockets = async () => (await lab.report()).counters.websockets ?? 0;
    const before = await websockets();
    await lab.setFaults({ byeAfterMs: 2_000 });
    try {
      const session = await official.open({ port: ECHO_PORT });
      const isResumed = await eventually(LIMIT_MS, async () => (await websockets()) >= before + 2);
      await lab.setFaults({});
      if (isResumed) await echoExactly(session.port, 1_000_000, LIMIT_MS);
      await official.end(session.program);
      return { findings: [judge(isResumed, 'close 1000 "Bye", ResumeSession, then 1 MB echoed byte-exact')] };
    } finally {
      await lab.setFaults({});
    }
  },
};
