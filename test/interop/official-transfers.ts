/** The official plugin, started by the AWS CLI, carries bytes through the lab. */

import { WORKLOAD_PORT } from '../bench/lab-process.ts';
import { type Check, megabytes, ok, rate, seconds } from './check.ts';
import { downloadExactly, echoExactly, uploadExactly } from './local-client.ts';

const CONNECTIONS = 8;
const ECHO_BYTES = 1_000_000;
const REMOTE_BYTES = 50_000_000;
/** Of the node's own service that gives back what it gets. */
export const ECHO_PORT = 7;
/** Sent and received at not much less than 1 MB/s; a machine with other work to do takes longer. */
const ECHO_LIMIT_MS = 120_000;
const REMOTE_LIMIT_MS = 400_000;

export const portCheck: Check = {
  name: 'port',
  needs: ['aws', 'plugin'],
  async run({ official }) {
    const session = await official.open({ port: ECHO_PORT });
    const began = performance.now();
    const echoes = Array.from({ length: CONNECTIONS }, () => echoExactly(session.port, ECHO_BYTES, ECHO_LIMIT_MS));
    await Promise.all(echoes);
    const ms = performance.now() - began;
    await official.end(session.program);
    const total = CONNECTIONS * ECHO_BYTES;
    const text = `${CONNECTIONS} concurrent connections echoed ${megabytes(ECHO_BYTES)} each, byte-exact`;
    return { findings: [ok(`${text}: ${seconds(ms)}, ${rate(total, ms)} each way`)] };
  },
};

export const hostCheck: Check = {
  name: 'host',
  needs: ['aws', 'plugin'],
  async run({ official, lab, say }) {
    const { host } = lab.greeting;
    say(`${megabytes(REMOTE_BYTES)} each way at the pace of client and agent: more than a minute`);
    const session = await official.open({ host, port: WORKLOAD_PORT });
    // Both at once: the client's pause lies on the way up, the agent's on the way down.
    const [up, down] = await Promise.all([
      uploadExactly(session.port, REMOTE_BYTES, REMOTE_LIMIT_MS),
      downloadExactly(session.port, REMOTE_BYTES, REMOTE_LIMIT_MS),
    ]);
    await official.end(session.program);
    const told = (ms: number) => `${seconds(ms)}, ${rate(REMOTE_BYTES, ms)}`;
    return {
      findings: [
        ok(`remote host, ${megabytes(REMOTE_BYTES)} up: SHA-256 equal; ${told(up)}`),
        ok(`remote host, ${megabytes(REMOTE_BYTES)} down at the same time: SHA-256 equal; ${told(down)}`),
      ],
    };
  },
};
