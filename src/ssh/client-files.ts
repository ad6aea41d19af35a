import { join } from 'node:path';

/*
 * The files by which `cloudtun proxy` and the ssh that started it meet (docs/adr/0019-ssh-config.md): `ssh` names them by its tokens,
 * the proxy by its arguments, which come from the same tokens.
 */

/** sockaddr_un: 108 bytes on Linux, 104 on macOS, the last one zero. */
export const LONGEST_SOCKET_PATH = 103;

/** Of the agent that has the key of this login; `%r@%n:%p` in an ssh_config(5). */
export function agentPath(folder: string, user: string, host: string, port: number | string): string {
  return join(folder, `${user}@${host}:${port}`);
}

/** Of the machine's host keys, in the format of known_hosts; `%n:%p.keys` in an ssh_config(5). */
export function hostKeysPath(folder: string, host: string, port: number | string): string {
  return join(folder, `${host}:${port}.keys`);
}
