import { renameSync, writeFileSync } from 'node:fs';
import { CloudtunError } from '../domain/errors.ts';
import { targetLabel } from '../domain/target.ts';
import { unlessAborted } from '../runtime/deadline.ts';
import type { World } from '../runtime/world.ts';
import { hostKeysPath } from './client-files.ts';
import type { ClientLogin, ClientLoginListener, ClientLoginPlace } from './client-login.ts';
import { type HostKeyVerdict, hostKeyExpectation, parsePublicKey } from './host-keys.ts';
import { KnownHosts } from './known-hosts.ts';

/**
 * Writes the file in which `ssh` looks for the machine's host keys: those the cloud publishes, else those that were seen before, else the
 * one that the server shows now.
 *
 * @throws CT_STATE; what connecting to the server throws
 */
export async function writeHostKeys(
  world: World,
  place: ClientLoginPlace,
  { host, port, folder }: ClientLogin,
  listener: ClientLoginListener,
  signal: AbortSignal,
): Promise<void> {
  const { target, provider, to } = place;
  // Another host behind the machine has keys of its own, which no cloud knows.
  const machine = target.kind === 'machine' && to.host === undefined ? target : undefined;
  const { logins } = provider;
  const [published, id] = await Promise.all([
    machine && logins?.hostKeys(machine, signal),
    (machine && logins?.hostName?.(machine, signal)) ?? target.id,
  ]);
  const name = `${provider.id}:${id}${to.host === undefined ? '' : `/${to.host}:${to.port}`}`;
  const known = new KnownHosts(world);
  const vouched = (published?.keys ?? []).flatMap((line) => parsePublicKey(line) ?? []);
  if (vouched.length === 0 && known.of(name).length === 0) {
    const { type, fingerprint } = await firstLook(world, place, name, signal);
    listener.note(`host key ${type} ${fingerprint}: seen for the first time, trusted from now on`);
  }
  const keys = vouched.length > 0 ? vouched : known.of(name);
  // The file is of this host alone, so every name fits.
  const lines = keys.map(({ type, data }) => `* ${type} ${data}\n`);
  const path = hostKeysPath(folder, host, port);
  try {
    writeFileSync(`${path}.${world.pid}`, `# ${name}\n${lines.join('')}`, { mode: 0o600 });
    renameSync(`${path}.${world.pid}`, path);
  } catch (cause) {
    throw new CloudtunError('CT_STATE', `the host keys of ${host} cannot be written to ${path}`, { cause });
  }
}

/** Talks to the server as far as its host key, on a connection of its own, and remembers the key as every login of cloudtun does. */
async function firstLook(
  world: World,
  { target, dialer, to }: ClientLoginPlace,
  name: string,
  signal: AbortSignal,
): Promise<HostKeyVerdict> {
  const [{ default: ssh2 }, { logIn }] = await Promise.all([import('ssh2'), import('./ssh-handshake.ts')]);
  const label = targetLabel(target);
  const expectation = hostKeyExpectation(new KnownHosts(world), name, label, undefined);
  const stream = await unlessAborted(dialer.dial(to, signal), signal);
  let seen: HostKeyVerdict | undefined;
  const hostKeys = {
    types: [],
    check(blob: Uint8Array): HostKeyVerdict {
      seen = expectation.check(blob);
      throw new CloudtunError('CT_INTERRUPTED', 'the host key is all that was wanted');
    },
  };
  const client = new ssh2.Client();
  client.on('error', () => {});
  stream.on('error', () => {});
  try {
    await logIn(
      world,
      client,
      stream,
      { to, label, hostKeys },
      { user: '', credentials: [], retryAfter: [] },
      {},
      signal,
    );
  } catch (error) {
    if (seen === undefined) throw error;
  } finally {
    client.destroy();
    stream.destroy();
  }
  return seen!;
}
