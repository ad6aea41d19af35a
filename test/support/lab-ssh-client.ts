/** An SSH client for the lab's sshd, made of ssh2 alone: what tests of the lab log in with. */
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import ssh2 from 'ssh2';
import type { Lab } from '../../src/lab/lab.ts';

export interface TestKey {
  /** `ssh-ed25519 AAAA… test` */
  readonly publicKey: string;
  readonly privateKey: string;
}

export function testKey(): TestKey {
  const pair = ssh2.utils.generateKeyPairSync('ed25519', { comment: 'test' });
  return { publicKey: pair.public.trim(), privateKey: pair.private };
}

export interface ExecResult {
  readonly code: number | null;
  readonly signal: string | undefined;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Whoever the host key's blob is given to may keep it. */
export type SeenHostKey = (blob: Buffer) => void;

/** A client that has logged in. Rejects with ssh2's error when it cannot; `level` of that says why. */
export function logIn(
  sock: Duplex,
  { userName, key, onHostKey }: { readonly userName: string; readonly key: TestKey; readonly onHostKey?: SeenHostKey },
): Promise<ssh2.Client> {
  const client = new ssh2.Client();
  return new Promise((resolve, reject) => {
    client.once('ready', () => resolve(client));
    client.on('error', reject);
    client.once('close', () => reject(new Error('closed before the login')));
    client.connect({
      sock,
      username: userName,
      privateKey: key.privateKey,
      hostVerifier: (blob: Buffer) => {
        onHostKey?.(blob);
        return true;
      },
    });
  });
}

/** Runs a command, gives it `input` and then the end of input. */
export function exec(client: ssh2.Client, command: string, input?: Buffer | string): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => {
      if (error) {
        reject(error);
        return;
      }
      const stdout: Buffer[] = [];
      let stderr = '';
      let code: number | null = null;
      let signal: string | undefined;
      channel.on('data', (data: Buffer) => stdout.push(data));
      channel.stderr.on('data', (data: Buffer) => {
        stderr += data.toString();
      });
      channel.on('exit', (status: number | null, name?: string) => {
        code = status;
        signal = name;
      });
      channel.once('close', () => resolve({ code, signal, stdout: Buffer.concat(stdout), stderr }));
      channel.end(input);
    });
  });
}

/** A socket to port 22 of an EC2 instance of the lab, as the agent on it would open it. */
export async function awsSshSocket(lab: Lab, instanceId: string): Promise<Duplex> {
  const found = await lab.network.resolve({ targetId: instanceId, host: undefined, port: 22 });
  if (found.kind !== 'address') throw new Error(`port 22 is ${found.kind}`);
  return connect({ host: found.host, port: found.port, noDelay: true });
}

/** A socket to port 22 of a Compute Engine machine. */
export async function gcpSshSocket(lab: Lab, instanceId: string): Promise<Duplex> {
  const found = await lab.gcp.network.fromMachine(instanceId, undefined, 22);
  if (found.kind !== 'address') throw new Error(`port 22 is ${found.kind}`);
  return connect({ host: found.host, port: found.port, noDelay: true });
}

/** `-L`: a stream to somewhere as the machine reaches it. */
export function forwardOut(client: ssh2.Client, host: string, port: number): Promise<ssh2.ClientChannel> {
  return new Promise((resolve, reject) => {
    client.forwardOut('127.0.0.1', 0, host, port, (error, channel) => (error ? reject(error) : resolve(channel)));
  });
}
