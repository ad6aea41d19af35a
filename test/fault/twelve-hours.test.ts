import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { replaceInstance } from '../../src/lab/account-change.ts';
import { userPrincipal } from '../../src/lab/aws/api/sts-api.ts';
import { changeDatabase } from '../../src/lab/aws/inventory.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { cliLab } from '../support/cli-lab.ts';
import { until } from '../support/until.ts';

/*
 * Twelve hours of `rds prod --ttl 13h`, with an hour of three seconds, or of ten in CI: the service closes every websocket hourly, and in its hour each
 * of these happens once: credentials expire, a session ends, the bastion is replaced, a resume is refused, the database fails over.
 * Product intervals are set by cloudtun.yaml, as a user may.
 */

const HOURS = 12;
/** Longer where nobody waits for it: then the product's times have their usual proportions to it. */
const HOUR = process.env.CI === 'true' ? 10_000 : 3_000;
/** Between two new connections. */
const PACE = 100;
const INTERVALS = {
  keepAlive: '400ms',
  deadPeer: '400ms',
  resume: '2s',
  hold: '4s',
  signIn: '8s',
  signInCheck: '100ms',
  retry: '50ms',
  longestRetry: '400ms',
  shortLife: '50ms',
  watch: '300ms',
  drain: '1500ms',
  wake: '500ms',
};
/** What a new connection may wait at most: `hold`, and `signIn` while a person has to sign in. */
const STATED = 8_000;
const SIGNED_OUT_FOR = 700;
const HOST = 'prod.c1abcdefghij.ap-northeast-1.rds.amazonaws.com';

/** Greets like MySQL, with its name as the version, then gives back every byte. */
async function greeter(name: string) {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    socket.write(greeting(name));
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    /** As a database does that loses its role. */
    crash: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function greeting(name: string): Buffer {
  const body = Buffer.concat([
    Buffer.from(`\n8.0.36-${name}\0`, 'latin1'),
    Buffer.from([1, 0, 0, 0]),
    Buffer.from('abcdefgh\0', 'latin1'),
    Buffer.from([0xff, 0xf7, 0xff, 2, 0, 0xff, 0xc1, 21]),
    Buffer.alloc(10),
    Buffer.from('ijklmnopqrst\0mysql_native_password\0', 'latin1'),
  ]);
  return Buffer.concat([Buffer.from([body.length, 0, 0, 0]), body]);
}

interface Answer {
  readonly took: number;
  /** Which database greeted; undefined: none. */
  readonly by: string | undefined;
  readonly why?: string;
}

/** One new connection, up to its greeting. */
function greeted(port: number): Promise<Answer> {
  const began = performance.now();
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const settle = (by: string | undefined, why?: string) => {
      resolve({ took: performance.now() - began, by, ...(why !== undefined && { why }) });
      socket.destroy();
    };
    socket.setTimeout(STATED + 2_000, () => settle(undefined, 'silent'));
    socket.once('error', (error) => settle(undefined, error.message));
    socket.once('close', () => settle(undefined, 'closed'));
    socket.once('data', (bytes: Buffer) => settle(/8\.0\.36-(\w+)/.exec(bytes.toString('latin1'))?.[1], 'no greeting'));
  });
}

/** A connection that stays and talks: what comes back is what was sent, to the byte, or it was reset. */
class Talker {
  readonly ended: Promise<'reset' | 'ended'>;
  readonly #socket: Socket;
  #sent = '';
  #heard = '';

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.ended = new Promise((resolve) => {
      this.#socket.once('error', () => resolve('reset'));
      this.#socket.once('end', () => resolve('ended'));
    });
    this.#socket.on('data', (bytes: Buffer) => {
      this.#heard += bytes.toString('latin1');
    });
  }

  say(text: string): void {
    if (this.#socket.destroyed) return;
    this.#sent += text;
    this.#socket.write(text);
  }

  /** What came back after the greeting. */
  get echo(): string {
    return this.#heard.slice(this.#heard.charCodeAt(0) + 4);
  }

  get sent(): string {
    return this.#sent;
  }

  close(): void {
    this.#socket.destroy();
  }
}

test('twelve hours: the port stays, new connections succeed in the stated time, old ones are whole or reset, no session is left', async (t) => {
  const { lab, home, start, openSessions, calls } = await cliLab(t, { faults: { byeAfterMs: HOUR, pacing: false } });
  const [old, young] = [await greeter('old'), await greeter('new')];
  t.after(() => {
    old.close();
    young.close();
  });
  lab.network.attach(HOST, 3306, old);
  signIn(lab, home);
  const intervals = Object.entries(INTERVALS).map(([name, value]) => `    ${name}: ${value}`);
  const file = `version: 1\ndefaults:\n  intervals:\n${intervals.join('\n')}\ntargets:\n  prod: { rds: prod }\n`;
  writeFileSync(join(home, 'cloudtun.yaml'), file);
  const run = start(['rds', 'prod', '--port', 'auto', '--ttl', '13h', '--json', '--reason', 'the night'], {
    env: {
      AWS_ACCESS_KEY_ID: '',
      AWS_SECRET_ACCESS_KEY: '',
      AWS_SHARED_CREDENTIALS_FILE: join(home, 'credentials'),
      AWS_PROFILE: 'night',
    },
    limit: (HOURS + 6) * HOUR + 60_000,
  });
  const [, portText] = await run.saw(/"event":"ready".*?"port":(\d+)/);
  const port = Number(portText);
  const began = performance.now();
  const hour = () => (performance.now() - began) / HOUR;

  const talkers: Talker[] = [];
  const answers: (Answer & { readonly at: number })[] = [];
  const asking: Promise<void>[] = [];
  const happen: readonly { readonly at: number; readonly what: () => Promise<void> | void }[] = [
    {
      at: 1.5,
      what: async () => {
        lab.keys.expireTemporary();
        endSessions(lab, 'time is over');
        await wait(SIGNED_OUT_FOR);
        signIn(lab, home);
      },
    },
    {
      at: 3.5,
      what: () => endSessions(lab, 'it was idle'),
    },
    {
      at: 5.5,
      what: () => {
        const gone = lab.inventory.instances.find(({ name }) => name === 'bastion-a')!.id;
        lab.change((inventory) => replaceInstance(inventory, 'bastion-a', 'i-0a1b2c3d4e5f6ffff'));
        lab.faults.set({ byeAfterMs: HOUR, pacing: false, deadNodes: [gone] });
      },
    },
    { at: 7.5, what: () => lab.faults.set({ byeAfterMs: HOUR, pacing: false, refuseResumes: 1 }) },
    {
      at: 9.5,
      what: () => {
        lab.network.attach(HOST, 3306, young);
        lab.change((inventory) => changeDatabase(inventory, 'prod', { privateIp: '10.20.21.99', zone: 'elsewhere' }));
      },
    },
    { at: 10.5, what: () => old.crash() },
  ];
  let next = 0;
  for (let round = 0; hour() < HOURS; round += 1) {
    if (round % 20 === 0) talkers.push(new Talker(port));
    for (const [index, talker] of talkers.entries()) talker.say(`${index}:${round};`);
    const at = hour();
    asking.push(greeted(port).then((answer) => void answers.push({ ...answer, at })));
    const due = happen[next];
    if (due && hour() >= due.at) {
      next += 1;
      await due.what();
    }
    await wait(PACE);
  }
  await Promise.all(asking);
  assert.equal(next, happen.length);

  assert.ok(answers.length > 250, `${answers.length} connections`);
  const failed = answers.filter(({ by }) => by === undefined);
  assert.deepEqual(failed, [], 'every new connection was answered');
  const slowest = Math.max(...answers.map(({ took }) => took));
  assert.ok(slowest < STATED, `the slowest took ${slowest} ms`);
  const late = answers.filter(({ at, by }) => at > 10.2 && by !== 'new');
  assert.deepEqual(late, [], 'after the failover the new database answers');

  // Those that still stand have everything back; none has something else than it sent, and none ended as if that were all.
  for (const talker of talkers) talker.say('.');
  for (const [index, talker] of talkers.entries()) {
    assert.ok(talker.sent.startsWith(talker.echo), `talker ${index} heard what it did not say`);
    const end = await Promise.race([talker.ended, wait(0, 'open' as const)]);
    assert.notEqual(end, 'ended', `talker ${index} was ended in the middle`);
    if (end === 'open') await until(() => talker.echo === talker.sent);
    talker.close();
  }
  run.process.kill('SIGTERM');
  const { code, stdout } = await run.ended;
  assert.equal(code, 143, run.stderr());
  const events = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const count = (name: string) => events.filter(({ event }) => event === name).length;
  const causes = events.flatMap(({ ending }) => (ending ? [(ending as { cause: string }).cause] : []));
  t.diagnostic(`${answers.length} connections, the slowest ${Math.round(slowest)} ms; ${talkers.length} long ones`);
  t.diagnostic(`${count('renewed')} renewals, causes ${causes.join(' ')}, StartSession ${calls('ssm:StartSession')}`);
  assert.equal(events.filter(({ event, change }) => event === 'sign-in' && change === 'needed').length, 1);
  assert.equal(events.filter(({ event, change }) => event === 'sign-in' && change === 'done').length, 1);
  assert.ok(count('moved') >= 2, 'the bastion and the database were seen to move');
  assert.ok(causes.includes('ended-by-service') && causes.includes('not-resumed') && causes.includes('moved'));
  assert.ok(calls('ssm:StartSession') < 40, 'no tight loop');
  assert.deepEqual(openSessions(), []);
});

/** New temporary keys, as a sign-in writes them: nothing in the file says when they end. */
function signIn(lab: Lab, home: string): void {
  const key = lab.keys.issueTemporary(userPrincipal(lab.inventory, 'alice', []), 3_600_000);
  const lines = [
    '[night]',
    `aws_access_key_id = ${key.accessKeyId}`,
    `aws_secret_access_key = ${key.secretAccessKey.reveal()}`,
    `aws_session_token = ${key.sessionToken.reveal()}`,
  ];
  writeFileSync(join(home, 'credentials'), `${lines.join('\n')}\n`, { mode: 0o600 });
}

/** As when their maximum duration is over. */
function endSessions({ gateway, sessions }: Lab, why: string): void {
  for (const { sessionId } of gateway.openSessions()) sessions.end(sessionId, 'service', why);
}
