import type { Dialer } from '../domain/dialer.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { type FarHostTarget, type MachineTarget, type Target, targetLabel } from '../domain/target.ts';
import type { Logins, Provider, SshLogin } from '../providers/provider.ts';
import { withDeadline } from '../runtime/deadline.ts';
import { hostUser } from '../runtime/host-user.ts';
import type { World } from '../runtime/world.ts';
import { ephemeralKey } from './ephemeral-key.ts';
import { type HostKeyPolicy, type HostKeyVerdict, hostKeyExpectation } from './host-keys.ts';
import { KnownHosts } from './known-hosts.ts';
import { connectSsh, type SshConnection } from './ssh-connection.ts';
import type { KeepAlive, SshConnectOptions, SshCredential } from './ssh-login.ts';
import { usualCredentials } from './usual-credentials.ts';

/** How a person asked to log in. */
export interface LoginWish {
  /** Guessed when absent. */
  readonly user: string | undefined;
  readonly port: number;
  /** Keys of the person's own; none: a key of cloudtun's own is made and let in by the cloud. */
  readonly credentials: readonly SshCredential[];
  /** The socket of the agent to forward. */
  readonly forwardAgent: string | undefined;
  readonly hostKeys?: HostKeyPolicy;
  readonly keepAlive?: KeepAlive;
}

/** What there is to say on the way to a login. */
export interface LoginListener {
  /** @param reason why this user, when nobody named one */
  readonly onUser: (user: string, reason: string) => void;
  readonly onAdmitted: (login: SshLogin) => void;
  readonly onHostKey: (verdict: HostKeyVerdict) => void;
  readonly onBanner: (text: string) => void;
}

/** A key takes a moment to arrive; two tries more cost a person four seconds at most. */
const RETRY_AFTER: readonly Millis[] = [1_000, 3_000];

const SSH_PORT = 22;

/** Nobody should wait long at the end of a login for what ends by itself (guessed: two calls of a slow API). */
const WITHDRAWAL_LIMIT: Millis = 5_000;

/**
 * A login to a machine through a dialer that reaches it: guesses the user, asks the cloud for host keys, lets a new key in, connects.
 *
 * @throws CT_USAGE for what is no machine; as `Logins` and `connectSsh`
 */
export async function openLogin(
  world: World,
  {
    provider,
    target,
    dialer,
  }: { readonly provider: Provider; readonly target: Target; readonly dialer: Pick<Dialer, 'dial'> },
  wish: LoginWish,
  listener: LoginListener,
  signal: AbortSignal,
): Promise<SshConnection> {
  const { logins } = provider;
  const label = targetLabel(target);
  if (target.kind === 'far-host') return openFarLogin(world, target, dialer, wish, listener, signal);
  if (target.kind !== 'machine' || logins === undefined) {
    throw new CloudtunError('CT_USAGE', `${label} is no machine that can be logged in to`, {
      hint: 'see what is: cloudtun targets',
    });
  }
  const [guess, published, name] = await Promise.all([
    wish.user === undefined ? logins.guessUser(target, signal) : undefined,
    logins.hostKeys(target, signal),
    logins.hostName?.(target, signal) ?? target.id,
  ]);
  if (guess) listener.onUser(guess.user, guess.reason);
  const wanted = wish.user ?? guess?.user ?? '';
  const hostKeys = hostKeyExpectation(
    new KnownHosts(world),
    `${target.provider}:${name}`,
    label,
    published,
    wish.hostKeys,
  );
  const server = { to: { port: wish.port }, label, hostKeys };
  const options = connectOptions(wish, listener);
  if (wish.credentials.length > 0) {
    const plan = { user: wanted, credentials: wish.credentials, retryAfter: [] };
    return connectSsh(world, dialer, server, plan, options, signal);
  }
  const key = ephemeralKey();
  const login = await logins.admitKey(target, wanted, key.publicKey, signal);
  listener.onAdmitted(login);
  const credentials = [{ kind: 'key', label: `a new key by ${login.by}`, privateKey: key.privateKey } as const];
  const plan = { user: login.user, credentials, retryAfter: login.retryAfter ?? RETRY_AFTER };
  const withdraw = () => withdrawn(world, logins, target, key.publicKey);
  try {
    const connection = await connectSsh(world, dialer, server, plan, options, signal);
    // Nobody waits for it but the end of the login: the key has done what it was for.
    connection.awaitAtEnd(withdraw());
    return connection;
  } catch (error) {
    await withdraw();
    throw error;
  }
}

/** Takes the key back. Never an error of the login: the key ends by itself, some minutes later. */
async function withdrawn(world: World, logins: Logins, machine: MachineTarget, publicKey: string): Promise<void> {
  try {
    await withDeadline(
      world.clock,
      WITHDRAWAL_LIMIT,
      async (signal) => await logins.withdrawKey?.(machine, publicKey, signal),
    );
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    world.log.info(`the key of this login could not be taken back, and ends by itself: ${why}`);
  }
}

function connectOptions({ forwardAgent, keepAlive }: LoginWish, listener: LoginListener): SshConnectOptions {
  const { onHostKey, onBanner } = listener;
  return {
    onHostKey,
    onBanner,
    ...(forwardAgent !== undefined && { forwardAgent }),
    ...(keepAlive !== undefined && { keepAlive }),
  };
}

/** A login to a host that no cloud knows: nobody but the person can be let in, by keys of their own. */
function openFarLogin(
  world: World,
  target: FarHostTarget,
  dialer: Pick<Dialer, 'dial'>,
  wish: LoginWish,
  listener: LoginListener,
  signal: AbortSignal,
): Promise<SshConnection> {
  const { user: localUser } = hostUser();
  const user = wish.user ?? localUser;
  if (wish.user === undefined) listener.onUser(user, 'your name on this machine');
  const credentials = wish.credentials.length > 0 ? wish.credentials : usualCredentials(world);
  if (credentials.length === 0) {
    throw new CloudtunError('CT_LOGIN_REFUSED', `no cloud knows ${target.name}, and there is no key to log in with`, {
      hint: [
        'start an ssh-agent and add your key: ssh-add',
        'or name the machine as the cloud does, so that it lets a new key in',
      ],
    });
  }
  // Another port of a host is often another machine, or a container with keys of its own.
  const known = wish.port === SSH_PORT ? target.id : `${target.id}/${wish.port}`;
  const hostKeys = hostKeyExpectation(new KnownHosts(world), known, target.name, undefined, wish.hostKeys);
  const server = { to: { port: wish.port }, label: target.name, hostKeys };
  return connectSsh(
    world,
    dialer,
    server,
    { user, credentials, retryAfter: [] },
    connectOptions(wish, listener),
    signal,
  );
}
