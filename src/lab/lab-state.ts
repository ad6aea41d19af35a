import { linkSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import { type ProcessIdentity, processIdentity, processState } from '../runtime/process-identity.ts';
import { makePrivateDirectory, writePrivateFile } from '../runtime/state-file.ts';
import type { World } from '../runtime/world.ts';
import type { LabEnvironment } from './lab-environment.ts';

/** The running lab as other processes of the same person find it: `<state>/lab.json`, owner only, there while the lab runs. */
export interface LabState {
  readonly version: 1;
  readonly process: ProcessIdentity;
  readonly url: string;
  readonly port: number;
  /** ISO 8601 UTC. */
  readonly startedAt: string;
  readonly controlToken: string;
  readonly environment: LabEnvironment;
}

export const labStateFile = (world: Pick<World, 'paths'>): string => join(world.paths.state, 'lab.json');
/** Where the AWS configuration files of the lab in one process are: each has its own, so that two that start at once do not mix. */
export const labDirectory = (world: Pick<World, 'paths'>, pid: number): string =>
  join(world.paths.state, 'lab', String(pid));

/** The lab that runs now. What a dead one left behind, or a file that is garbage, is removed. */
export function readLabState(world: Pick<World, 'paths'>): LabState | undefined {
  const file = labStateFile(world);
  const text = readIfThere(file);
  if (text === undefined) return undefined;
  const state = parseState(text);
  // One that cannot be seen from here (another container) is left alone: its port is not ours either.
  if (state !== undefined && processState(state.process, processIdentity()) !== 'dead') return state;
  // Only the file that was judged: another lab may have started since.
  if (readIfThere(file) !== text) return undefined;
  rmSync(file, { force: true });
  if (state !== undefined) rmSync(labDirectory(world, state.process.pid), { recursive: true, force: true });
  return undefined;
}

/**
 * Announces a lab that has started. False when another one was quicker.
 *
 * @throws CT_STATE when the file cannot be written
 */
export function claimLabState(world: Pick<World, 'paths'>, state: LabState): boolean {
  const file = labStateFile(world);
  const draft = `${file}.${state.process.pid}`;
  try {
    makePrivateDirectory(dirname(file));
    writePrivateFile(draft, `${JSON.stringify(state, null, 2)}\n`);
    try {
      // Unlike a rename, a link fails when the name is taken.
      linkSync(draft, file);
      return true;
    } finally {
      rmSync(draft, { force: true });
    }
  } catch (cause) {
    if (systemCode(cause) === 'EEXIST') return false;
    throw new CloudtunError('CT_STATE', `cannot write ${file}`, { cause });
  }
}

/** Takes the announcement back, if it is still this lab's. */
export function releaseLabState(world: Pick<World, 'paths'>, state: LabState): void {
  const file = labStateFile(world);
  const found = parseState(readIfThere(file) ?? '');
  if (found?.controlToken === state.controlToken) rmSync(file, { force: true });
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined;
    throw new CloudtunError('CT_STATE', `cannot read ${file}`, { cause });
  }
}

function parseState(text: string): LabState | undefined {
  try {
    const value = JSON.parse(text) as Partial<LabState> | null;
    const isWhole =
      value?.version === 1 &&
      typeof value.process?.pid === 'number' &&
      typeof value.url === 'string' &&
      typeof value.port === 'number' &&
      typeof value.controlToken === 'string' &&
      typeof value.environment?.set === 'object';
    return isWhole ? (value as LabState) : undefined;
  } catch {
    return undefined;
  }
}
