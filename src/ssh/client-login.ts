import type { Dialer } from '../domain/dialer.ts';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { MachineTarget, Target } from '../domain/target.ts';
import type { Logins, Provider } from '../providers/provider.ts';
import { processIdentity, processState } from '../runtime/process-identity.ts';
import { makePrivateDirectory } from '../runtime/state-file.ts';
import type { World } from '../runtime/world.ts';
import { AdmittedKey } from './admitted-key.ts';
import { handOver, lead, ownSocket, sweep } from './agent-place.ts';
import { agentPath, LONGEST_SOCKET_PATH } from './client-files.ts';
import { writeHostKeys } from './client-host-keys.ts';
import { LoginAgent } from './login-agent.ts';

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

export interface ClientLoginPlace {
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
  place: ClientLoginPlace,
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
    await writeHostKeys(world, place, login, listener, signal);
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
