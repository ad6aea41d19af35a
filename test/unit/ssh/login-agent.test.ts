import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdirSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import ssh2 from 'ssh2';
import { handOver, lead, ownSocket, sweep } from '../../../src/ssh/agent-place.ts';
import {
  AgentReader,
  bareMessage,
  EXTENSION,
  framed,
  identitiesAnswer,
  parseIdentities,
  parseSignRequest,
  REQUEST_IDENTITIES,
  SIGN_REQUEST,
} from '../../../src/ssh/core/agent-messages.ts';
import { ephemeralKey } from '../../../src/ssh/ephemeral-key.ts';
import { LoginAgent } from '../../../src/ssh/login-agent.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const string = (value: string | Buffer) => {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
};

async function agentWith(t: TestContext, admitted: () => Promise<boolean>, behind?: string) {
  const folder = await temporaryDirectory(t);
  const key = ephemeralKey('login');
  const blob = Buffer.from(key.publicKey.split(' ')[1]!, 'base64');
  const agent = new LoginAgent({ blob, comment: 'login', admitted, sign: (data) => key.sign(data) }, behind);
  t.after(() => agent[Symbol.asyncDispose]());
  const path = join(folder, 'agent');
  await agent.listen(path);
  return { agent, path, key, blob };
}

/** An agent as people have them, with one key; it knows no extensions. */
async function plainAgent(t: TestContext) {
  const blob = Buffer.from('a key of the person');
  const server = createServer((socket) => {
    const reader = new AgentReader();
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      for (const body of reader.read(chunk) ?? []) {
        const isListing = body[0] === REQUEST_IDENTITIES;
        const isSigning = body[0] === SIGN_REQUEST && parseSignRequest(body)?.blob.equals(blob);
        socket.write(
          framed(isListing ? identitiesAnswer([{ blob, comment: 'mine' }]) : bareMessage(isSigning ? 14 : 5)),
        );
      }
    });
  });
  const path = join(await temporaryDirectory(t), 'plain');
  server.listen(path);
  await once(server, 'listening');
  t.after(() => void server.close());
  return { path, blob };
}

/** A client that asks in turn, byte by byte. */
function client(t: TestContext, path: string) {
  const socket = connect(path);
  t.after(() => void socket.destroy());
  const reader = new AgentReader();
  const answers: Buffer[] = [];
  const waiting: ((body: Buffer) => void)[] = [];
  socket.on('data', (chunk: Buffer) => {
    for (const body of reader.read(chunk) ?? []) (waiting.shift() ?? ((late) => answers.push(late)))(Buffer.from(body));
  });
  return {
    socket,
    ask: (body: Buffer) => {
      for (const byte of framed(body)) socket.write(Buffer.from([byte]));
      return new Promise<Buffer>((resolve) => waiting.push(resolve));
    },
  };
}

const comments = (body: Buffer) => parseIdentities(body).map(({ comment }) => comment);

test('the key of the login is offered once it is let in, and signs what its public half verifies', async (t) => {
  const admission = Promise.withResolvers<boolean>();
  const { path, key, blob } = await agentWith(t, () => admission.promise);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const { ask } = client(t, path);
  const listing = ask(bareMessage(REQUEST_IDENTITIES));
  admission.resolve(true);
  assert.deepEqual(parseIdentities(await listing), [{ blob, comment: 'login' }]);
  const data = Buffer.from('what the server wants signed');
  const response = await ask(Buffer.concat([bareMessage(SIGN_REQUEST), string(blob), string(data), Buffer.alloc(4)]));
  assert.equal(response[0], 14);
  const open = ssh2.utils.parseKey(key.publicKey);
  assert.ok(!(open instanceof Error));
  // Type, whole length, length and name of the algorithm, length of the signature.
  assert.equal(open.verify(data, response.subarray(5 + 4 + 11 + 4)), true);
});

test('a key that was not let in is not offered; what else is asked is a failure without an agent behind', async (t) => {
  const { path } = await agentWith(t, () => Promise.resolve(false));
  const { ask } = client(t, path);
  assert.deepEqual(comments(await ask(bareMessage(REQUEST_IDENTITIES))), []);
  assert.deepEqual([...(await ask(bareMessage(17)))], [5]);
  assert.deepEqual([...(await ask(Buffer.concat([bareMessage(SIGN_REQUEST), string('x'), string('y')])))], [5]);
});

test('keys of the agent behind are there as well, and alone for the far machine', async (t) => {
  const behind = await plainAgent(t);
  const front = await agentWith(t, () => Promise.resolve(true), behind.path);
  const near = client(t, front.path);
  assert.equal(parseIdentities(await near.ask(bareMessage(REQUEST_IDENTITIES))).length, 2);
  const signed = await near.ask(
    Buffer.concat([bareMessage(SIGN_REQUEST), string(behind.blob), string('data'), Buffer.alloc(4)]),
  );
  assert.equal(signed[0], 14);
  const far = client(t, front.path);
  const bind = (flag: number) =>
    Buffer.concat([
      bareMessage(EXTENSION),
      string('session-bind@openssh.com'),
      string('key'),
      string('id'),
      string('signature'),
      Buffer.from([flag]),
    ]);
  assert.deepEqual([...(await far.ask(bind(0)))], [6]);
  assert.equal(parseIdentities(await far.ask(bareMessage(REQUEST_IDENTITIES))).length, 2);
  assert.deepEqual([...(await far.ask(bind(1)))], [6]);
  const [only, ...others] = parseIdentities(await far.ask(bareMessage(REQUEST_IDENTITIES)));
  assert.deepEqual([only?.blob, others], [behind.blob, []]);
  const refused = await far.ask(
    Buffer.concat([bareMessage(SIGN_REQUEST), string(front.blob), string('data'), Buffer.alloc(4)]),
  );
  assert.deepEqual([...refused], [5]);
});

test('a peer that speaks something else is cut off; messages that lie about their lengths say nothing', async (t) => {
  const { path } = await agentWith(t, () => Promise.resolve(true));
  for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '\0\0\0\0']) {
    const { socket } = client(t, path);
    socket.write(bytes);
    await once(socket, 'close');
  }
  const listing = identitiesAnswer([{ blob: Buffer.from('blob'), comment: 'mine' }]);
  for (let length = 0; length < listing.length; length += 1) {
    assert.deepEqual(parseIdentities(listing.subarray(0, length)), []);
  }
  assert.equal(parseSignRequest(Buffer.from([SIGN_REQUEST, 255, 255, 255, 255])), undefined);
  const flooded = new AgentReader();
  assert.equal(flooded.read(Buffer.from([0, 4, 0, 1])), undefined);
});

test('the path leads to the newest agent, then to one that still runs, then nowhere', async (t) => {
  const folder = await temporaryDirectory(t);
  const path = join(folder, 'alice@web:22');
  const alive = new Set([1, 2]);
  const isAlive = (pid: number) => alive.has(pid);
  const start = (pid: number) => {
    writeFileSync(ownSocket(path, pid), '');
    lead(path, pid);
  };
  start(1);
  start(2);
  assert.equal(readlinkSync(path), ownSocket(path, 2));
  handOver(path, 1, isAlive);
  assert.equal(readlinkSync(path), ownSocket(path, 2), 'an older one that ends changes nothing');
  start(1);
  handOver(path, 1, isAlive);
  assert.equal(readlinkSync(path), ownSocket(path, 2));
  alive.delete(2);
  mkdirSync(join(folder, 'mine'));
  sweep(folder, isAlive);
  assert.equal(existsSync(ownSocket(path, 2)), false);
  start(1);
  handOver(path, 1, isAlive);
  assert.equal(lstatSync(path, { throwIfNoEntry: false }), undefined);
  assert.deepEqual(readdirSync(folder), ['mine']);
});
