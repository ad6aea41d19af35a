import { renameSync, writeFileSync } from 'node:fs';
import type { Dialer } from '../domain/dialer.ts';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { type MachineTarget, type Target, targetLabel } from '../domain/target.ts';
import type { Logins, Provider, SshLogin } from '../providers/provider.ts';
import { unlessAborted, withDeadline } from '../runtime/deadline.ts';
import { hostUser } from '../runtime/host-user.ts';
import { processIdentity, processState } from '../runtime/process-identity.ts';
import { makePrivateDirectory } from '../runtime/state-file.ts';
import type { World } from '../runtime/world.ts';
import { handOver, lead, ownSocket, sweep } from './agent-place.ts';
import { agentPath, hostKeysPath, LONGEST_SOCKET_PATH } from './client-files.ts';
import { type EphemeralKey, ephemeralKey } from './ephemeral-key.ts';
import { type HostKeyVerdict, hostKeyExpectation, parsePublicKey } from './host-keys.ts';
import { KnownHosts } from './known-hosts.ts';
import { LoginAgent } from './login-agent.ts';

/** Taking a key back is a call to a cloud that may be out of reach; it ends by itself. */
const WITHDRAW_WITHIN: Millis = 3_000;
/** A key that ends sooner is let in again before it is offered. */
const USABLE_FOR: Millis = 10_000;
/** After a signature ssh is logged in, or was refused; what it may still ask has come by then (guessed). */
const WITHDRAW_AFTER: Millis = 5_000;

/** The login that an `ssh` is about to make through this process. */
export interface ClientLogin {
  readonly user: string;
  /** The catalogue says that it is this user. */
  readonly isChosen: boolean;
  /** As `ssh` calls it. */
  readonly host: string;
  readonly port: number;
  /** Where `ssh` looks for the files of client-files.ts. */
  readonly folder: string;
}

/** What people are told, on stderr. */
export interface ClientLoginListener {
  note(line: string): void;
}

interface Place {
  readonly provider: Provider;
  readonly target: Target;
  /** As the target sees it; with a host it is another one than the target. */
  readonly to: RemoteEndpoint;
  readonly dialer: Pick<Dialer, 'dial'>;
}

/**
 * Prepares what an OpenSSH client needs before its first byte comes back: a file with the machine's host keys, and an agent with a key
 * that the cloud lets in. Resolves when both are in their places; the key is let in meanwhile, and the agent's answers wait for it.
 * Disposing it takes the agent away and the key back.
 *
 * @throws CT_HOST_KEY_CHANGED never: that is for `ssh` to find; CT_STATE; what a first look at the server throws
 */
export async function prepareClientLogin(
  world: World,
  place: Place,
  login: ClientLogin,
  listener: ClientLoginListener,
  signal: AbortSignal,
): Promise<AsyncDisposable> {
  const { target, to, provider } = place;
  makePrivateDirectory(login.folder);
  const machine = target.kind === 'machine' && to.host === undefined ? target : undefined;
  const logins = machine && provider.logins;
  const agent = machine && logins && (await openAgent(world, logins, machine, login, listener, signal));
  try {
    await writeHostKeys(world, place, logins, login, listener, signal);
    return { [Symbol.asyncDispose]: async () => agent?.[Symbol.asyncDispose]() };
  } catch (error) {
    await agent?.[Symbol.asyncDispose]();
    throw error;
  }
}

async function openAgent(
  world: World,
  logins: Logins,
  machine: MachineTarget,
  { user, isChosen, host, port, folder }: ClientLogin,
  listener: ClientLoginListener,
  signal: AbortSignal,
): Promise<AsyncDisposable | undefined> {
  const path = agentPath(folder, user, host, port);
  const own = ownSocket(path, world.pid);
  if (user.includes('/') || host.includes('/') || Buffer.byteLength(path) > LONGEST_SOCKET_PATH) {
    listener.note(`warning: no socket can be called ${path}, so no key is let in; use one of your own`);
    return undefined;
  }
  const key = new AdmittedKey(world, logins, machine, { user, isChosen }, listener, signal);
  const agent = new LoginAgent(key, world.env.SSH_AUTH_SOCK || undefined);
  const here = processIdentity(world.pid);
  const isAlive = (pid: number) => processState(processIdentity(pid), here) !== 'dead';
  try {
    sweep(folder, isAlive);
    await agent.listen(own);
    lead(path, world.pid);
  } catch (cause) {
    await agent[Symbol.asyncDispose]();
    throw new CloudtunError('CT_STATE', `the agent of this login cannot be placed at ${path}`, { cause });
  }
  // It is asked for a round trip or two later, and a key takes about as long.
  void key.admitted();
  return {
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]();
      handOver(path, world.pid, isAlive);
      await key.withdraw();
    },
  };
}

/** A key of this process, let in when it is asked for, and taken back soon after it was used. */
class AdmittedKey {
  readonly comment: string;
  readonly blob: Buffer;
  readonly #world: World;
  readonly #logins: Logins;
  readonly #machine: MachineTarget;
  readonly #user: string;
  readonly #isChosen: boolean;
  readonly #listener: ClientLoginListener;
  readonly #signal: AbortSignal;
  readonly #key: EphemeralKey;
  #login: Promise<SshLogin | undefined> | undefined;
  #hasTold = false;

  constructor(
    world: World,
    logins: Logins,
    machine: MachineTarget,
    { user, isChosen }: Pick<ClientLogin, 'user' | 'isChosen'>,
    listener: ClientLoginListener,
    signal: AbortSignal,
  ) {
    this.#world = world;
    this.#logins = logins;
    this.#machine = machine;
    this.#user = user;
    this.#isChosen = isChosen;
    this.#listener = listener;
    this.#signal = signal;
    this.comment = `cloudtun ${targetLabel(machine)}`;
    this.#key = ephemeralKey();
    this.blob = Buffer.from(this.#key.publicKey.split(' ')[1]!, 'base64');
  }

  async admitted(): Promise<boolean> {
    const before = await this.#login;
    if (before === undefined || before.expiresAt - USABLE_FOR < this.#world.clock.wall()) this.#login = this.#admit();
    return (await this.#login) !== undefined;
  }

  sign(data: Buffer): Buffer {
    this.#world.clock.after(WITHDRAW_AFTER, () => void this.withdraw(), { background: true });
    return this.#key.sign(data);
  }

  /** Never rejects. The next one who asks has it let in again. */
  async withdraw(): Promise<void> {
    const login = await this.#login;
    this.#login = undefined;
    if (login === undefined) return;
    try {
      await withDeadline(this.#world.clock, WITHDRAW_WITHIN, async (signal) => {
        await this.#logins.withdrawKey?.(this.#machine, this.#key.publicKey, signal);
      });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#world.log.info(`the key of this login could not be taken back, and ends by itself: ${why}`);
    }
  }

  async #admit(): Promise<SshLogin | undefined> {
    try {
      const login = await this.#logins.admitKey(this.#machine, this.#user, this.#key.publicKey, this.#signal);
      const isFirst = !this.#hasTold;
      this.#hasTold = true;
      if (isFirst) await this.#tellOtherUser(login.user);
      // Where the machine hears of it by itself: ssh does not try again.
      const [pause] = login.retryAfter ?? [];
      if (isFirst && pause !== undefined) await this.#world.clock.sleep(pause, this.#signal);
      return login;
    } catch (thrown) {
      if (!this.#signal.aborted && !this.#hasTold) {
        const { message, code, hints } = asCloudtunError(thrown);
        this.#listener.note(`warning: no key was let in: ${message} (${code})`);
        for (const hint of hints) this.#listener.note(`  ${hint}`);
        this.#hasTold = true;
      }
      return undefined;
    }
  }

  /** ssh sends the name of the person on this machine when nobody names another one, and that is seldom the right one. */
  async #tellOtherUser(admitted: string): Promise<void> {
    const user = this.#user;
    const isDefault = user === hostUser().user && !this.#isChosen;
    const right =
      admitted !== user || !isDefault ? admitted : (await this.#logins.guessUser(this.#machine, this.#signal)).user;
    if (right !== user) {
      this.#listener.note(
        `logging in as ${user}, and ${targetLabel(this.#machine)} rather knows ${right}: ssh -l ${right} …`,
      );
    }
  }
}

async function writeHostKeys(
  world: World,
  place: Place,
  logins: Logins | undefined,
  { host, port, folder }: ClientLogin,
  listener: ClientLoginListener,
  signal: AbortSignal,
): Promise<void> {
  const { target, provider, to } = place;
  const machine = target.kind === 'machine' ? target : undefined;
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
  { target, dialer, to }: Place,
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
