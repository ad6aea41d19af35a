import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { FarHostTarget } from '../../../src/domain/target.ts';
import type { TunnelEvent } from '../../../src/domain/tunnel-event.ts';
import { ephemeralKey } from '../../../src/ssh/ephemeral-key.ts';
import type { HostKeyVerdict } from '../../../src/ssh/host-keys.ts';
import { openHop } from '../../../src/ssh/open-hop.ts';
import { openLogin } from '../../../src/ssh/open-login.ts';
import { FakeProvider } from '../../support/fake-provider.ts';
import { manualWorld } from '../../support/manual-world.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { loopbackDialer, TestSshd } from '../../support/test-sshd.ts';

const TARGET: FarHostTarget = { kind: 'far-host', provider: 'aws', id: 'i-0a>inner', name: 'inner', host: 'inner' };

test('two servers on two ports of a host have keys of their own, and each is held to its own', async (t) => {
  const { world } = manualWorld({ home: await temporaryDirectory(t) });
  await using one = await new TestSshd().listen();
  await using other = await new TestSshd().listen();
  const key = ephemeralKey();
  const seen: string[] = [];
  const logIn = async (sshd: TestSshd): Promise<void> => {
    sshd.accepted.add(key.publicKey);
    const wish = {
      user: 'alice',
      port: sshd.port,
      credentials: [{ kind: 'key' as const, label: 'a key', privateKey: key.privateKey }],
      forwardAgent: undefined,
    };
    const listener = {
      onUser: () => {},
      onAdmitted: () => {},
      onHostKey: ({ trust }: HostKeyVerdict) => seen.push(trust),
      onBanner: () => {},
    };
    const place = { provider: new FakeProvider(), target: TARGET, dialer: loopbackDialer() };
    await using _ = await openLogin(world, place, wish, listener, new AbortController().signal);
  };
  await logIn(one);
  await logIn(other);
  await logIn(one);
  assert.deepEqual(seen, ['first-use', 'first-use', 'known']);
});

test('a hop whose key is trusted for the first time says so, also when it then refuses the login', async (t) => {
  const home = await temporaryDirectory(t);
  const { world } = manualWorld({ home });
  await mkdir(join(home, '.ssh'));
  await writeFile(join(home, '.ssh/id_ed25519'), ephemeralKey().privateKey.reveal());
  await using sshd = await new TestSshd().listen();
  const place = { provider: new FakeProvider(), target: TARGET, dialer: loopbackDialer() };
  const events: TunnelEvent[] = [];
  const logIn = () =>
    openHop(
      world,
      place,
      { user: 'alice', port: sshd.port },
      (event) => events.push(event),
      new AbortController().signal,
    );
  await assert.rejects(logIn(), { code: 'CT_LOGIN_REFUSED' });
  await assert.rejects(logIn(), { code: 'CT_LOGIN_REFUSED' });
  assert.deepEqual(
    events.map(
      (event) => event.type === 'warning' && /^host key ssh-\S+ SHA256:\S+ of inner was seen/.test(event.message),
    ),
    [true],
  );
});
