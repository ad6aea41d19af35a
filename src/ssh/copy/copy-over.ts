import type { World } from '../../runtime/world.ts';
import type { SshConnection } from '../ssh-connection.ts';
import { copyFiles } from './copy-files.ts';
import type { CopyListener, CopyOptions, CopyReport } from './copy-types.ts';
import { farPath } from './core/far-path.ts';
import { FarFiles } from './far-files.ts';
import { localFiles } from './local-files.ts';
import { openSftp } from './sftp-session.ts';

export interface CopyRequest {
  readonly direction: 'up' | 'down';
  /** As typed: of this machine when `up`, of the far one when `down`. */
  readonly sources: readonly string[];
  readonly target: string;
  /** What the far machine is called in front of its paths. */
  readonly label: string;
  readonly options: CopyOptions;
}

/**
 * Copies files between this machine and one that is logged in to, over SFTP.
 *
 * @throws CT_NO_SFTP; as `copyFiles`. What fails for a single file is told to the listener
 */
export async function copyOver(
  world: World,
  connection: SshConnection,
  { direction, sources, target, label, options }: CopyRequest,
  listener: CopyListener,
  signal: AbortSignal,
): Promise<CopyReport> {
  await using session = await openSftp(world, connection, signal);
  const far = new FarFiles(world, session, connection, label, signal);
  const here = localFiles(world, signal);
  const work = { world, options, signal };
  return direction === 'up'
    ? await copyFiles({ ...work, from: here, to: far }, sources, farPath(target), listener)
    : await copyFiles({ ...work, from: far, to: here }, sources.map(farPath), target, listener);
}
