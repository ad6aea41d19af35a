import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../bench/cloudtun-process.ts';
import { type CliLab, cliLab } from './cli-lab.ts';

/** What `ps --json` prints, as far as tests look at it. */
export interface PsAnswer {
  readonly supervisor: { readonly pid: number } | null;
  readonly tunnels: readonly {
    readonly name: string;
    readonly state: string;
    readonly local: readonly string[];
    readonly connections: number;
    readonly sessions: number;
  }[];
  readonly lost: readonly string[];
}

/** A person with a cloudtun.yaml of two targets, and a group `dev` of both. */
export interface HeldLab extends CliLab {
  /** Of `prod`, which speaks MySQL, and of `admin`, a web page. */
  readonly ports: { readonly prod: number; readonly admin: number };
  ps(): Promise<PsAnswer>;
  /** Path of the supervisor's socket. */
  readonly socketPath: string;
  /** Replaces the file; `edit` has the text that was there. */
  editCatalogue(edit: (text: string) => string): void;
}

/** A lab with a catalogue. Whatever supervisor was started in it is killed when the test is over. */
export async function heldLab(
  test: { after(call: () => Promise<void> | void): void },
  ...options: Parameters<typeof cliLab> extends [unknown, ...infer Rest] ? Rest : never
): Promise<HeldLab> {
  // What is registered first runs first: the directory that says which process it is goes after that.
  let state: string | undefined;
  test.after(() => {
    const pid = state && supervisorPid(join(state, 'supervisor.json'));
    if (pid) killIfThere(pid);
  });
  const lab = await cliLab(test, ...options);
  const ports = { prod: await freePort(), admin: await freePort() };
  const file = join(lab.home, 'cloudtun.yaml');
  writeFileSync(
    file,
    [
      'version: 1',
      'targets:',
      `  prod: { rds: prod, via: bastion-a, port: ${ports.prod} }`,
      `  admin: { host: admin.internal, hostPort: 80, via: bastion-a, port: ${ports.admin} }`,
      'groups: { dev: [prod, admin] }',
      '',
    ].join('\n'),
  );
  state = join(lab.home, '.local/state/cloudtun');
  return {
    ...lab,
    ports,
    ps: async () => JSON.parse((await lab.run(['ps', '--json'])).stdout) as PsAnswer,
    socketPath: join(state, 'supervisor.sock'),
    editCatalogue: (edit) => writeFileSync(file, edit(readFileSync(file, 'utf8'))),
  };
}

/** Ends a process at once; nothing when it is gone already. */
export function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

/** Whether something accepts connections there. */
export function isListening(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** The page of `admin`, through its local port. */
export async function pageAt(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
  return response.text();
}

function supervisorPid(record: string): number | undefined {
  try {
    const { process: held } = JSON.parse(readFileSync(record, 'utf8')) as { process: { pid: number } };
    return held.pid;
  } catch {
    return undefined;
  }
}
