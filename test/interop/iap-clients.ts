/** Clients of the IAP relay under one roof: cloudtun, gcloud, and a bare websocket pump. */
import { fileURLToPath } from 'node:url';
import { freePort } from '../bench/cloudtun-process.ts';
import { GCP_PROJECT, GCP_ZONE, type LabProcess } from '../bench/lab-process.ts';
import { environment } from './clients.ts';
import { childrenOf, cpuSeconds } from './process-usage.ts';
import type { Program, Programs } from './programs.ts';
import { eventually } from './within.ts';

const RUN_JS = fileURLToPath(new URL('../../bin/run.js', import.meta.url));
const PUMP = fileURLToPath(new URL('../bench/iap-pump-child.ts', import.meta.url));
const READY_LIMIT_MS = 60_000;

/** A port of a machine behind the relay. */
export interface IapDestination {
  readonly instance: string;
  readonly port: number;
}

export interface IapClient {
  readonly name: string;
  /** Starts it listening on a local port; what happens next is the caller's to watch. */
  start(to: IapDestination): Promise<{ readonly program: Program; readonly port: number }>;
  /** The line that says it listens. */
  readonly ready: RegExp;
  /** What Ctrl-C ends it with. */
  readonly exitCode: number | null;
}

interface Options {
  readonly programs: Programs;
  readonly lab: LabProcess;
  readonly directory: string;
}

export function iapClients(
  options: Options,
  gcloud: string,
): Readonly<Record<'cloudtun' | 'gcloud' | 'pump', IapClient>> {
  const { programs, lab, directory } = options;
  const run = (command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    programs.start(command, args, { env: { ...environment(options), ...env }, cwd: directory });
  const { relayRoot, authorityFile, accessToken } = lab.greeting.gcp;
  return {
    cloudtun: {
      name: 'cloudtun',
      ready: /^(ready|open) /m,
      exitCode: 130,
      async start({ instance, port: farPort }) {
        const port = await freePort();
        const target = `${GCP_PROJECT}/${GCP_ZONE}/${instance}`;
        return { program: run(process.execPath, [RUN_JS, 'forward', target, '-L', `${port}:${farPort}`]), port };
      },
    },
    gcloud: {
      name: 'gcloud',
      ready: /Listening on port/,
      exitCode: 0,
      async start({ instance, port: farPort }) {
        const port = await freePort();
        const args = [
          ...['compute', 'start-iap-tunnel', instance, `${farPort}`, `--zone=${GCP_ZONE}`],
          ...[`--iap-tunnel-url-override=${relayRoot}`, `--local-host-port=127.0.0.1:${port}`],
        ];
        // Its line would stay in a buffer otherwise: stdout is no terminal.
        return { program: run(gcloud, args, { PYTHONUNBUFFERED: '1' }), port };
      },
    },
    pump: {
      name: 'bare ws',
      ready: /^ready/m,
      exitCode: null,
      async start({ instance, port: farPort }) {
        const port = await freePort();
        const query = { project: GCP_PROJECT, port: `${farPort}`, newWebsocket: 'True', zone: GCP_ZONE, instance };
        const env = {
          PUMP_ROOT: relayRoot,
          PUMP_QUERY: new URLSearchParams({ ...query, interface: 'nic0' }).toString(),
          PUMP_TOKEN: accessToken,
          PUMP_CA: authorityFile,
          PUMP_PORT: `${port}`,
        };
        return { program: run(process.execPath, [PUMP], env), port };
      },
    },
  };
}

/** gcloud with the stream on its standard streams. */
export function gcloudOnStdio(options: Options, gcloud: string) {
  const { programs, lab, directory } = options;
  return {
    name: 'gcloud',
    exitCode: 0,
    start({ instance, port }: IapDestination): Program {
      const args = [
        ...['compute', 'start-iap-tunnel', instance, `${port}`, '--listen-on-stdin', `--zone=${GCP_ZONE}`],
        `--iap-tunnel-url-override=${lab.greeting.gcp.relayRoot}`,
      ];
      return programs.start(gcloud, args, { env: environment(options), cwd: directory });
    },
  };
}

export interface IapSession {
  readonly program: Program;
  readonly port: number;
  readonly readyMs: number;
}

export async function openIap(client: IapClient, to: IapDestination): Promise<IapSession> {
  const { program, port } = await client.start(to);
  const { atMs } = await program.saw(client.ready, READY_LIMIT_MS);
  return { program, port, readyMs: atMs };
}

/** Ctrl-C. @throws when it ends otherwise than it should, or leaves a process */
export async function endIap(
  client: Pick<IapClient, 'name' | 'exitCode'>,
  { program }: { readonly program: Program },
): Promise<void> {
  const { code, signal } = await program.interrupt();
  if (code !== client.exitCode) {
    throw new Error(`${client.name} ended with ${signal ?? code} at Ctrl-C: ${program.said()}`);
  }
  if (!(await eventually(1_000, () => !program.hasGroup()))) throw new Error(`${client.name} left a process behind`);
}

/** Processor seconds of a program and everything it started. */
export function treeCpuSeconds(pid: number): number {
  return cpuSeconds(pid) + childrenOf(pid).reduce((sum, child) => sum + treeCpuSeconds(child), 0);
}

export function treePids(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(treePids)];
}
