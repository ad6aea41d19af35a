import type { OpenedTunnel } from '../broker/broker-types.ts';
import { openTunnel } from '../broker/open-tunnel.ts';
import type { App } from '../compose.ts';
import type { TunnelEventListener } from '../domain/tunnel-event.ts';
import { Lifetime } from '../runtime/lifetime.ts';
import type { LoginListener, LoginWish } from '../ssh/open-login.ts';
import type { SshConnection } from '../ssh/ssh-connection.ts';
import { type PlannedRequest, settled } from './open-planned.ts';

/** A login that was planned and stands. Disposing it logs out, then closes the tunnel below. */
export interface PlannedLogin extends AsyncDisposable {
  readonly connection: SshConnection;
  /** The tunnel below; `ended` is the caller's to say. */
  readonly opened: OpenedTunnel;
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
  on: { readonly login: LoginListener; readonly tunnel: TunnelEventListener },
  signal: AbortSignal,
): Promise<PlannedLogin> {
  const { openLogin } = await import('../ssh/open-login.ts');
  const { provider, target } = await settled(app, planned, on.tunnel, signal);
  const lifetime = new Lifetime();
  try {
    const opened = lifetime.use(
      await openTunnel(app.contextFor(provider), planned.request, { onEvent: on.tunnel, target }, signal),
    );
    const place = { provider, target: opened.target, dialer: opened.dialer };
    const connection = lifetime.use(await openLogin(app.world, place, wish, on.login, signal));
    return { connection, opened, [Symbol.asyncDispose]: () => lifetime[Symbol.asyncDispose]() };
  } catch (error) {
    await lifetime[Symbol.asyncDispose]();
    throw error;
  }
}
