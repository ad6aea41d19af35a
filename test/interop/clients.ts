/** The two clients under the same roof: what they are told, when they say that one may go on, how they end. */
import { mkdirSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../bench/cloudtun-process.ts';
import { BASTION_ID, type LabProcess } from '../bench/lab-process.ts';
import type { Peers } from './peers.ts';
import { childrenOf } from './process-usage.ts';
import type { Ending, Program, Programs } from './programs.ts';
import { eventually } from './within.ts';

const RUN_JS = fileURLToPath(new URL('../../bin/run.js', import.meta.url));
const READY_LIMIT_MS = 60_000;

/** A port of the bastion itself, or of a host behind it. */
export interface Destination {
  readonly host?: string;
  readonly port: number;
}

export interface Session {
  /** On 127.0.0.1. */
  readonly port: number;
  readonly program: Program;
  /** From the start of the program to the line that tells the user to go on. */
  readonly readyMs: number;
  /** The process that carries the bytes: of the program itself, or started by it. */
  readonly carrier: number;
}

export interface Client {
  readonly name: string;
  /** Starts the program; what happens next is the caller's to watch. */
  start(to: Destination): Promise<{ readonly program: Program; readonly port: number }>;
  /** Starts the program and waits for its line. */
  open(to: Destination): Promise<Session>;
  /** Ctrl-C. @throws when the exit code is not what this client ends with, or anything of it is left */
  end(program: Program): Promise<Ending>;
}

interface Options {
  readonly programs: Programs;
  readonly lab: LabProcess;
  /** For home, state and temporary files. */
  readonly directory: string;
}

/** Only what a program needs: whoever runs this may have a cloud of their own in the environment. */
export function environment({ lab, directory }: Options, path = process.env.PATH ?? ''): NodeJS.ProcessEnv {
  return { PATH: path, HOME: directory, TMPDIR: directory, XDG_STATE_HOME: directory, TZ: 'UTC', ...lab.greeting.env };
}

async function end(program: Program, expectedCode: number): Promise<Ending> {
  const ending = await program.interrupt();
  if (ending.code !== expectedCode) {
    throw new Error(`Ctrl-C ended it with ${ending.signal ?? ending.code}, not ${expectedCode}: ${program.said()}`);
  }
  if (!(await eventually(1_000, () => !program.hasGroup()))) throw new Error('it left a process behind');
  return ending;
}

export class Cloudtun implements Client {
  readonly name = 'cloudtun';
  readonly #options: Options;
  readonly #flags: readonly string[];

  constructor(options: Options, flags: readonly string[] = []) {
    this.#options = options;
    this.#flags = flags;
  }

  /** Any command of cloudtun. */
  run(args: readonly string[]): Program {
    const { programs, directory } = this.#options;
    return programs.start(process.execPath, [RUN_JS, ...args], { env: environment(this.#options), cwd: directory });
  }

  async start(to: Destination) {
    const port = await freePort();
    const far = to.host === undefined ? `${to.port}` : `${to.host}:${to.port}`;
    return { program: this.run(['forward', BASTION_ID, '-L', `${port}:${far}`, ...this.#flags]), port };
  }

  async open(to: Destination): Promise<Session> {
    const { program, port } = await this.start(to);
    const { atMs } = await program.saw(/^(ready|open) /m, READY_LIMIT_MS);
    return { port, program, readyMs: atMs, carrier: program.pid };
  }

  end(program: Program): Promise<Ending> {
    return end(program, 130);
  }
}

/** The AWS CLI, which finds session-manager-plugin by that name on PATH and leaves the session to it. */
export class Official implements Client {
  readonly name = 'official';
  readonly #options: Options;
  readonly #aws: string;
  readonly #path: string;
  /** Of each session that its programs named so far. */
  readonly sessionIds = new Set<string>();

  constructor(options: Options, peers: Peers) {
    const { aws, plugin } = peers;
    if (aws === undefined) throw new TypeError('the AWS CLI is needed');
    this.#options = options;
    this.#aws = aws;
    const folder = join(options.directory, 'path');
    mkdirSync(folder, { recursive: true });
    if (plugin !== undefined) symlinkSync(plugin, join(folder, 'session-manager-plugin'));
    this.#path = `${folder}${delimiter}${process.env.PATH ?? ''}`;
  }

  /** Any command of the AWS CLI. */
  run(args: readonly string[]): Program {
    const { programs, directory } = this.#options;
    return programs.start(this.#aws, args, { env: environment(this.#options, this.#path), cwd: directory });
  }

  /** The answer of an API call. @throws when it fails */
  async call(...args: string[]): Promise<unknown> {
    const program = this.run([...args, '--output', 'json']);
    const { code } = await program.end(30_000);
    if (code !== 0) throw new Error(`aws ${args.join(' ')} ended with ${code}: ${program.said()}`);
    return JSON.parse(program.stdout().toString());
  }

  startSession(target: string, document: string, parameters: Readonly<Record<string, string | number>>): Program {
    const list = Object.entries(parameters).map(([name, value]) => `${name}=${value}`);
    return this.run([
      ...['ssm', 'start-session', '--target', target],
      ...['--document-name', document, '--parameters', list.join(',')],
    ]);
  }

  async start(to: Destination) {
    return this.startOn(BASTION_ID, to);
  }

  async startOn(target: string, to: Destination) {
    const port = await freePort();
    const ports = { portNumber: to.port, localPortNumber: port };
    const program =
      to.host === undefined
        ? this.startSession(target, 'AWS-StartPortForwardingSession', ports)
        : this.startSession(target, 'AWS-StartPortForwardingSessionToRemoteHost', { host: to.host, ...ports });
    return { program, port };
  }

  async open(to: Destination, target = BASTION_ID): Promise<Session> {
    const { program, port } = await this.startOn(target, to);
    const { atMs } = await program.saw(/Waiting for connections\.\.\./, READY_LIMIT_MS);
    this.sessionIds.add(await this.sessionIdOf(program));
    return { port, program, readyMs: atMs, carrier: pluginOf(program) };
  }

  async sessionIdOf(program: Program): Promise<string> {
    const { match } = await program.saw(/Starting session with SessionId: (\S+)/, READY_LIMIT_MS);
    return match[1]!;
  }

  async end(program: Program): Promise<Ending> {
    this.sessionIds.add(await this.sessionIdOf(program));
    return await end(program, 0);
  }
}

function pluginOf(program: Program): number {
  const [plugin, ...others] = childrenOf(program.pid);
  if (plugin === undefined || others.length > 0) throw new Error(`the AWS CLI has ${others.length + 1} children`);
  return plugin;
}
