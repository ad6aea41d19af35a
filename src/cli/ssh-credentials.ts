import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import { Secret } from '../domain/secret.ts';
import type { World } from '../runtime/world.ts';
import type { SshCredential } from '../ssh/ssh-login.ts';
import { OWN_SSH_HINT } from './own-ssh-hint.ts';

/**
 * Keys of a person's own, in the order given; the agent last.
 *
 * @throws CT_USAGE for a file that cannot be read, or an agent that is not there
 */
export function ownCredentials(
  world: World,
  { files, withAgent }: { readonly files: readonly string[]; readonly withAgent: boolean },
): readonly SshCredential[] {
  return [
    ...files.map((file) => ({ kind: 'key' as const, label: file, privateKey: keyIn(world, file) })),
    ...(withAgent ? [{ kind: 'agent' as const, label: 'the ssh-agent', path: agentSocket(world, '--agent') }] : []),
  ];
}

/** @param flag that wants it */
export function agentSocket({ env }: World, flag: string): string {
  if (env.SSH_AUTH_SOCK) return env.SSH_AUTH_SOCK;
  throw new CloudtunError('CT_USAGE', `${flag} wants an ssh-agent, and SSH_AUTH_SOCK names none`);
}

function keyIn({ cwd, paths }: World, file: string): Secret {
  const path = resolve(cwd, file.replace(/^~(?=\/)/, paths.home));
  // The certificate is what the server would ask for.
  if (existsSync(`${path}-cert.pub`)) throw noCertificates(`${file}-cert.pub`);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new CloudtunError('CT_USAGE', `the key ${file} cannot be read (${systemCode(cause) ?? 'error'})`, { cause });
  }
  if (/ENCRYPTED/.test(text)) {
    throw new CloudtunError('CT_USAGE', `the key ${file} is encrypted`, {
      hint: 'add it to your ssh-agent and use --agent',
    });
  }
  return new Secret(text);
}

/** Certificates of OpenSSH are for OpenSSH. @param file where one was named or found */
export function noCertificates(file: string): CloudtunError {
  return new CloudtunError('CT_USAGE', `${file} is an OpenSSH certificate, and this client logs in with keys`, {
    hint: OWN_SSH_HINT,
  });
}
