import type { World } from '../../src/runtime/world.ts';
import { type EphemeralKey, ephemeralKey } from '../../src/ssh/ephemeral-key.ts';
import { type HostKeyExpectation, hostKeyExpectation } from '../../src/ssh/host-keys.ts';
import { KnownHosts } from '../../src/ssh/known-hosts.ts';
import { connectSsh, type SshConnection } from '../../src/ssh/ssh-connection.ts';
import type { SshConnectOptions, SshLoginPlan } from '../../src/ssh/ssh-login.ts';
import { loopbackDialer, type TestSshd } from './test-sshd.ts';

/** A login with a key, as `cloudtun ssh` makes one. */
export function keyLogin(key: EphemeralKey, retryAfter: readonly number[] = []): SshLoginPlan {
  return {
    user: 'alice',
    credentials: [{ kind: 'key', label: 'the test key', privateKey: key.privateKey }],
    retryAfter,
  };
}

/** What is known of a test sshd in this world. */
export function hostKeysOf(world: World, name = 'web-1'): HostKeyExpectation {
  return hostKeyExpectation(new KnownHosts(world), `aws:${name}`, name, undefined);
}

/** Logged in to the test sshd with a new key. */
export async function loggedIn(world: World, sshd: TestSshd, options: SshConnectOptions = {}): Promise<SshConnection> {
  const key = ephemeralKey();
  sshd.accepted.add(key.publicKey);
  const server = { to: { port: sshd.port }, label: 'web-1', hostKeys: hostKeysOf(world) };
  return connectSsh(world, loopbackDialer(), server, keyLogin(key), options, new AbortController().signal);
}
