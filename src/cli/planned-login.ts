import type { OpenedTunnel } from '../broker/broker-types.ts';
import { openTunnel } from '../broker/open-tunnel.ts';
import { ERROR_CATALOGUE } from '../domain/error-catalogue.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { TunnelEventListener } from '../domain/tunnel-event.ts';
import type { App } from '../plan/app.ts';
import { type PlannedRequest, settled } from '../plan/open-planned.ts';
import { Lifetime } from '../runtime/lifetime.ts';
import type { LoginListener, LoginWish } from '../ssh/open-login.ts';
import type { SshConnection } from '../ssh/ssh-connection.ts';

/** A login that was planned and stands. Disposing it logs out, then closes the tunnel below. */
export interface PlannedLogin extends AsyncDisposable {
  readonly connection: SshConnection;
  /** The tunnel below; `ended` is the caller's to say. */
  readonly opened: OpenedTunnel;
}

/** A tunnel to an sshd, and logins through it. */
export interface LoginPlace {
  /** Owned by the caller, and closed after every login. */
  readonly opened: OpenedTunnel;
  /** A new login; the caller's own. */
  logIn(signal: AbortSignal): Promise<SshConnection>;
}

/** What is said on the way to a login. */
interface LoginEvents {
  readonly login: LoginListener;
  readonly tunnel: TunnelEventListener;
}

/**
 * What everything that logs in to a machine does alike (`ssh`, `cp`, `expose`): settles the cloud, opens the tunnel to its sshd, lets a
 * key in, connects.
 *
 * @throws what `openTunnel` and `openLogin` throw; nothing is left open then
 */
export async function openPlannedLogin(
  app: App,
  planned: PlannedRequest,
  wish: LoginWish,
  on: LoginEvents,
  signal: AbortSignal,
): Promise<PlannedLogin> {
  const lifetime = new Lifetime();
  try {
    const place = await openLoginPlace(app, planned, wish, on, signal);
    const opened = lifetime.use(place.opened);
    const connection = lifetime.use(await place.logIn(signal));
    return { connection, opened, [Symbol.asyncDispose]: () => lifetime[Symbol.asyncDispose]() };
  } catch (error) {
    await lifetime[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * The same for who may log in more than once: no login yet, and nothing that needs one.
 *
 * @throws what `openTunnel` throws; nothing is left open then
 */
export async function openLoginPlace(
  app: App,
  planned: PlannedRequest,
  wish: LoginWish,
  on: LoginEvents,
  signal: AbortSignal,
): Promise<LoginPlace> {
  const { openLogin } = await import('../ssh/open-login.ts');
  const { provider, target } = await settled(app, planned, on.tunnel, signal);
  const context = app.contextFor(provider);
  const opened = await openTunnel(context, planned.request, { onEvent: on.tunnel, target }, signal);
  const place = { provider, target: opened.target, dialer: opened.dialer };
  const logIn = async (calledOff: AbortSignal) => {
    try {
      return await openLogin(app.world, place, wish, on.login, calledOff);
    } catch (error) {
      if (error instanceof CloudtunError && ERROR_CATALOGUE[error.code].kind === 'denied') opened.denied(error);
      throw error;
    }
  };
  return { opened, logIn };
}
