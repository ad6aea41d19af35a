/** A program that uses the library in the ways that the example does not, and says what it found as one line of JSON. */
import { once } from 'node:events';
import { CloudtunError, openTunnel, type TunnelEvent } from '../../src/index.ts';

const events: TunnelEvent[] = [];
const onEvent = (event: TunnelEvent) => void events.push(event);
const signals = process.eventNames();

// Two at once, one of them without a port.
const [held, bare] = await Promise.all([
  openTunnel({ target: 'rds:prod', port: 0, bind: '127.0.0.1', ttl: '1h' }, { onEvent }),
  openTunnel({ target: 'rds:prod', listen: false }),
]);
const stream = await bare.connect();
const [greeting] = (await once(stream, 'data')) as [Buffer];
const during = bare.status();
stream.destroy();
await once(stream, 'close');
const noPort = await codeOf(async () => bare.port);
const bareEnd = await bare.close();
const afterwards = await codeOf(() => bare.connect());
await held[Symbol.asyncDispose]();
const heldEnd = await held.closed;

const abort = new AbortController();
const aborting = openTunnel({ target: 'rds:prod', port: 0 }, { signal: abort.signal });
abort.abort(new Error('called off'));
const aborted = await aborting.then(
  () => 'opened',
  (error: Error) => error.message,
);
const unknown = await codeOf(() => openTunnel({ target: 'rds:prdo', port: 0 }));
const badPort = await codeOf(() => openTunnel({ target: 'rds:prod', port: -1 }));

async function codeOf(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
    return 'none';
  } catch (error) {
    return error instanceof CloudtunError ? error.code : String(error);
  }
}

const found = {
  greeting: greeting.toString('latin1').includes('mysql_native_password'),
  during: { state: during.state, clients: during.clients, bytesDown: during.bytesDown > 0 },
  bareEnd: { reason: bareEnd.reason, connections: bareEnd.connections, bytesDown: bareEnd.bytesDown > 0 },
  heldEnd: heldEnd.reason,
  ...{ noPort, afterwards, aborted, unknown, badPort },
  signals: process.eventNames().filter((name) => !signals.includes(name)),
  exitCode: process.exitCode,
};
process.stdout.write(`${JSON.stringify({ found, events })}\n`);
