/** A server that says yes to a login and goodbye in one piece: all of it is told before the login is anybody's. */
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import ssh2 from 'ssh2';
import type { TunnelStream } from '../../../src/domain/dialer.ts';
import { ephemeralKey } from '../../../src/ssh/ephemeral-key.ts';
import { connectSsh } from '../../../src/ssh/ssh-connection.ts';
import { sshHop } from '../../../src/ssh/ssh-hop.ts';
import { manualWorld } from '../../support/manual-world.ts';
import { hostKeysOf, keyLogin } from '../../support/ssh-client.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const never = () => new AbortController().signal;

/** One end of a pipe that can hold back what it was given, and then hand it over as one piece with the end. */
class PipeEnd extends Duplex implements TunnelStream {
  readonly accepted = Promise.resolve('connected' as const);
  other: PipeEnd | undefined;
  held: Buffer[] | undefined;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const bytes = Buffer.from(chunk);
    if (this.held) this.held.push(bytes);
    else setImmediate(() => this.other?.push(bytes));
    done();
  }

  override _final(done: () => void): void {
    setImmediate(() => {
      if (this.held) this.other?.push(Buffer.concat(this.held));
      this.other?.push(null);
    });
    done();
  }
}

async function leftAtOnce(home: string) {
  const { world, clock } = manualWorld({ home });
  const near = new PipeEnd();
  const far = new PipeEnd();
  near.other = far;
  far.other = near;
  const sshd = new ssh2.Server({ hostKeys: [ephemeralKey('host').privateKey.reveal()] }, (client) => {
    client.on('error', () => {});
    client.on('authentication', (context) => {
      if (context.method !== 'publickey') return context.reject(['publickey']);
      if (context.signature !== undefined) {
        far.held = [];
        context.accept();
        client.end();
      } else context.accept();
    });
  });
  sshd.injectSocket(far as never);
  const server = { to: { port: 22 }, label: 'web-1', hostKeys: hostKeysOf(world) };
  const dialer = { dial: async () => near };
  return { clock, connection: await connectSsh(world, dialer, server, keyLogin(ephemeralKey()), {}, never()) };
}

test('a login that was ended right away is over, for whoever waits for its end and whoever dials', async (t) => {
  const { connection, clock } = await leftAtOnce(await temporaryDirectory(t));
  assert.equal((await connection.closed)?.code, 'CT_TUNNEL_LOST');
  await assert.rejects(sshHop(connection).dial({ host: 'db', port: 1 }, never()), { code: 'CT_TUNNEL_LOST' });
  await connection[Symbol.asyncDispose]();
  assert.equal(clock.pending, 0);
});
