import type ssh2 from 'ssh2';
import type { ServerHostKeyAlgorithm } from 'ssh2';
import type { TunnelStream } from '../domain/dialer.ts';
import { formatEndpoint } from '../domain/endpoint.ts';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { Timer } from '../runtime/clock.ts';
import type { World } from '../runtime/world.ts';
import { handshakeFailed, loginRefused, type SshProgress } from './ssh-errors.ts';
import type { SshConnectOptions, SshCredential, SshLoginPlan, SshServer } from './ssh-login.ts';

/** From the first byte of the stream to an exchange of keys (guessed: a slow agent and three round trips). */
const HANDSHAKE_LIMIT: Millis = 20_000;
/** A person may have to touch a security key of the agent. sshd's own LoginGraceTime is 120 s. */
const LOGIN_LIMIT: Millis = 60_000;
/** Below the limits of common middleboxes (spec section 5.6); two unanswered ones are the minute after which a peer is dead. */
export const KEEP_ALIVE: Millis = 25_000;
export const KEEP_ALIVE_COUNT = 2;

/** RFC 8332: the key type `ssh-rsa` is signed with these. */
const RSA_ALGORITHMS: readonly ServerHostKeyAlgorithm[] = ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'];
const KEY_TYPES: readonly ServerHostKeyAlgorithm[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
];

/**
 * Brings a client from a fresh stream to a login. Resolves when it is logged in; after a failure the caller destroys the stream.
 */
export function logIn(
  world: World,
  client: ssh2.Client,
  stream: TunnelStream,
  server: SshServer,
  login: SshLoginPlan,
  options: SshConnectOptions,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const tried: string[] = [];
    let progress = { opening: undefined as Buffer | undefined, isSecure: false, accepted: [] as string[] };
    let isExhausted = false;
    let hostKeyFailure: unknown;
    let timer: Timer;

    const settle = (done: () => void) => {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
      done();
    };
    const fail = (error: unknown) => settle(() => reject(error));
    const onAbort = () => {
      fail(signal.reason);
      stream.destroy();
    };
    const arm = (limit: Millis) => {
      timer = world.clock.after(limit, () => {
        fail(overdue(server, { ...progress, tried }));
        stream.destroy();
      });
    };
    const failure = (cause?: unknown) => {
      if (hostKeyFailure !== undefined) return hostKeyFailure;
      if (isExhausted || (progress.isSecure && isDisconnect(cause))) {
        return loginRefused(server, login, { ...progress, tried }, cause);
      }
      return handshakeFailed(server, { ...progress, tried }, cause);
    };

    const credentials = login.credentials.values();
    const nextMethod: ssh2.AuthHandlerMiddleware = (methods, _partial, next) => {
      if (methods) progress = { ...progress, accepted: methods };
      const { value: credential, done } = credentials.next();
      isExhausted = done === true;
      // ssh2 takes `false` for "nothing is left"; its types know only the methods.
      if (credential === undefined) return next(false as never);
      tried.push(credential.label);
      next(methodOf(credential, login.user));
    };

    arm(HANDSHAKE_LIMIT);
    // While the stream was dialled: a signal that has aborted tells nobody any more.
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    stream.once('data', (chunk: Buffer) => {
      progress = { ...progress, opening: Buffer.from(chunk.subarray(0, 64)) };
    });
    // A stream of a tunnel stays half open by itself, and SSH has no use for a half.
    stream.once('end', () => fail(failure())).once('close', () => fail(failure()));
    client
      .on('handshake', (negotiated) => {
        world.log.debug(`ssh ${server.label}: ${negotiated.kex}, ${negotiated.cs.cipher}`);
        progress = { ...progress, isSecure: true };
        timer.cancel();
        arm(LOGIN_LIMIT);
      })
      .on('banner', (text) => options.onBanner?.(text))
      .on('ready', () => settle(resolve))
      .on('close', () => fail(failure()))
      .on('error', (error) => {
        // An agent that fails is one method less; ssh2 goes on with the next.
        const level = Reflect.get(error, 'level');
        if (level === 'agent' || (level === 'client-authentication' && !isExhausted)) {
          world.log.debug(`ssh ${server.label}: ${tried.at(-1)} cannot be used (${systemCode(error) ?? level})`);
          return;
        }
        fail(failure(error));
      });
    client.connect({
      sock: stream,
      username: login.user,
      readyTimeout: 0,
      keepaliveInterval: options.keepAlive?.interval ?? KEEP_ALIVE,
      keepaliveCountMax: options.keepAlive?.count ?? KEEP_ALIVE_COUNT,
      algorithms: { serverHostKey: hostKeyAlgorithms(server.hostKeys.types) },
      authHandler: nextMethod,
      hostVerifier: (blob: Buffer) => {
        try {
          // Before the call and not as its argument: `?.` leaves out the arguments where nobody listens.
          const verdict = server.hostKeys.check(blob);
          options.onHostKey?.(verdict);
          return true;
        } catch (error) {
          hostKeyFailure = error;
          return false;
        }
      },
      ...(options.forwardAgent !== undefined && { agent: options.forwardAgent, agentForward: true }),
    });
  });
}

/** Those of the known types first: a server with several keys then shows the one we have seen. */
function hostKeyAlgorithms(known: readonly string[]): ServerHostKeyAlgorithm[] {
  const ofType = (type: string) => (type === 'ssh-rsa' ? RSA_ALGORITHMS : KEY_TYPES.filter((each) => each === type));
  return [...new Set([...known.flatMap(ofType), ...KEY_TYPES, ...RSA_ALGORITHMS.slice(0, 2)])];
}

function methodOf(credential: SshCredential, username: string): ssh2.AnyAuthMethod {
  return credential.kind === 'key'
    ? { type: 'publickey', username, key: credential.privateKey.reveal() }
    : { type: 'agent', username, agent: credential.path };
}

/** A server that says goodbye in the middle of a login, "too many authentication failures" for example: its reason is a number. */
function isDisconnect(cause: unknown): boolean {
  return typeof cause === 'object' && cause !== null && typeof Reflect.get(cause, 'code') === 'number';
}

function overdue(server: SshServer, progress: SshProgress): CloudtunError {
  const where = `${server.label} (${formatEndpoint(server.to)})`;
  if (progress.opening === undefined) {
    return new CloudtunError('CT_REMOTE_SILENT', `${where} said nothing for ${HANDSHAKE_LIMIT / 1_000} s`, {
      hint: 'an SSH server speaks first: check the port (-p), and the load of the machine',
    });
  }
  const what = progress.isSecure ? 'the login' : 'the key exchange';
  const limit = progress.isSecure ? LOGIN_LIMIT : HANDSHAKE_LIMIT;
  return new CloudtunError('CT_TIMEOUT', `${what} on ${where} did not end within ${limit / 1_000} s`);
}
