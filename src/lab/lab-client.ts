import { request } from 'node:http';
import { CloudtunError } from '../domain/errors.ts';
import type { World } from '../runtime/world.ts';
import type { LabState } from './lab-state.ts';
import type { LabStatus } from './lab-status.ts';

/** Loopback, and a process that does nothing long in one turn. */
const ANSWER_LIMIT_MS = 5_000;
const ANSWER_BYTES_LIMIT = 64 * 1024 * 1024;

/** `GET /_lab/status` of a running lab. */
export async function askStatus(world: Pick<World, 'clock'>, state: LabState): Promise<LabStatus> {
  return (await askLab(world, state, 'GET', '/_lab/status')) as LabStatus;
}

/**
 * One request to the control endpoint (lab-control.ts).
 *
 * @throws CT_LAB_FAILED when it does not answer, or answers with an error; the cause has the system's own
 */
export function askLab(
  world: Pick<World, 'clock'>,
  state: LabState,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = (what: string, cause?: unknown) => {
      limit.cancel();
      call.destroy();
      const { pid } = state.process;
      const hint = `if it hangs, end it with: kill ${pid}`;
      reject(new CloudtunError('CT_LAB_FAILED', `the lab (pid ${pid}, ${state.url}) ${what}`, { hint, cause }));
    };
    const headers = { authorization: `Bearer ${state.controlToken}`, 'content-type': 'application/json' };
    const options = { host: '127.0.0.1', port: state.port, method, path, headers, agent: false };
    const call = request(options, (response) => {
      const chunks: Buffer[] = [];
      let byteCount = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        byteCount += chunk.length;
        if (byteCount > ANSWER_BYTES_LIMIT) fail('answered without end');
      });
      response.once('error', (error) => fail('broke off', error));
      response.once('end', () => {
        limit.cancel();
        const text = Buffer.concat(chunks).toString();
        if (response.statusCode !== 200) return fail(`answered ${response.statusCode}: ${text.trim()}`);
        try {
          resolve(JSON.parse(text));
        } catch (error) {
          fail('answered with something else than JSON', error);
        }
      });
    });
    const limit = world.clock.after(ANSWER_LIMIT_MS, () => fail('does not answer'));
    call.once('error', (error) => fail('cannot be reached', error));
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
