import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Secret } from '../domain/secret.ts';
import type { World } from '../runtime/world.ts';
import type { SshCredential } from './ssh-login.ts';

/** In the order of OpenSSH (ssh_config, IdentityFile), as far as ssh2 reads them. */
const FILES = ['id_rsa', 'id_ecdsa', 'id_ed25519'];

/** What `ssh` would try by itself: the agent, then the usual files that need no passphrase. */
export function usualCredentials({ env, paths }: World): readonly SshCredential[] {
  const agent = env.SSH_AUTH_SOCK;
  return [
    ...(agent ? [{ kind: 'agent' as const, label: 'the ssh-agent', path: agent }] : []),
    ...FILES.flatMap((name): SshCredential[] => {
      const key = unencryptedKey(join(paths.home, '.ssh', name));
      return key === undefined ? [] : [{ kind: 'key', label: `~/.ssh/${name}`, privateKey: key }];
    }),
  ];
}

/** Undefined for a file that is not there, may not be read, or needs a passphrase (OpenSSH's own format says the cipher in its first bytes). */
function unencryptedKey(path: string): Secret | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  if (/ENCRYPTED/.test(text)) return undefined;
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]+?)-----END/.exec(text)?.[1];
  if (body === undefined) return new Secret(text);
  const bytes = Buffer.from(body, 'base64');
  // "openssh-key-v1\0", then the name of the cipher as a string.
  const length = bytes.length > 19 ? bytes.readUInt32BE(15) : 0;
  return bytes.toString('latin1', 19, 19 + length) === 'none' ? new Secret(text) : undefined;
}
