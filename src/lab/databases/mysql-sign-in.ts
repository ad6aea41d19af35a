import type { HostErrors } from './host-errors.ts';
import { MysqlError } from './mysql-result.ts';
import {
  authSwitchPayload,
  CACHING_SHA2_PASSWORD,
  errorPayload,
  expectedAnswer,
  FAST_AUTHENTICATION_DONE,
  NATIVE_PASSWORD,
  parseSignIn,
} from './mysql-wire.ts';
import type { PacketSocket } from './packet-socket.ts';
import { describeUsers, type LabUser } from './users.ts';

export type SignInOutcome =
  | { readonly kind: 'signed-in'; readonly user: string; readonly database: string | undefined }
  /** Wrong user or password. The refusal was sent. */
  | { readonly kind: 'refused' }
  /** The client hung up, or broke the protocol, before it had answered: what counts towards blocking its address. */
  | { readonly kind: 'broken' };

/** The handshake after the greeting: checks user and password by either of the two plugins of MySQL 8. */
export async function signIn(
  packets: PacketSocket,
  scramble: Buffer,
  users: readonly LabUser[],
  host: string,
): Promise<SignInOutcome> {
  const first = await packets.next();
  const response = first && parseSignIn(first);
  if (!response) return await broken(packets, first !== undefined);
  let { plugin, answer } = response;
  // MySQL's own clients name their plugin before they have a scramble for it, and then have no answer yet either.
  const isUnanswered = plugin === CACHING_SHA2_PASSWORD && answer.length !== 32;
  if (isUnanswered || (plugin !== CACHING_SHA2_PASSWORD && plugin !== NATIVE_PASSWORD)) {
    plugin = isUnanswered ? CACHING_SHA2_PASSWORD : NATIVE_PASSWORD;
    await packets.send(authSwitchPayload(plugin, scramble));
    const switched = await packets.next();
    if (!switched) return { kind: 'broken' };
    answer = switched;
  }
  // caching_sha2_password says "no password" with a single zero.
  if (plugin === CACHING_SHA2_PASSWORD && answer.length === 1 && answer[0] === 0) answer = Buffer.alloc(0);
  if (plugin === NATIVE_PASSWORD && answer.length !== 0 && answer.length !== 20) return await broken(packets, true);

  const known = users.find(({ user, byToken }) => user === response.user && !byToken);
  if (!known || !expectedAnswer(plugin, known.password, scramble).equals(answer)) {
    await sendLast(packets, errorPayload(accessDenied(response.user, host, answer.length > 0, users)));
    return { kind: 'refused' };
  }
  if (plugin === CACHING_SHA2_PASSWORD && answer.length > 0) packets.put(FAST_AUTHENTICATION_DONE);
  return { kind: 'signed-in', user: known.user, database: response.database };
}

async function broken(packets: PacketSocket, isThere: boolean): Promise<SignInOutcome> {
  if (isThere) await sendLast(packets, errorPayload(new MysqlError(1043, '08S01', 'Bad handshake'), false));
  return { kind: 'broken' };
}

/** To a client that need not be there any more: that changes nothing about what came before. */
async function sendLast(packets: PacketSocket, payload: Buffer): Promise<void> {
  await packets.send(payload).catch(() => {});
}

function accessDenied(user: string, host: string, usedPassword: boolean, users: readonly LabUser[]): MysqlError {
  return new MysqlError(
    1045,
    '28000',
    `Access denied for user '${user}'@'${host}' (using password: ${usedPassword ? 'YES' : 'NO'}); ${describeUsers(users)}`,
  );
}

/** 1129, in the words of MySQL 8. */
export function hostBlocked(address: string): MysqlError {
  return new MysqlError(
    1129,
    'HY000',
    `Host '${address}' is blocked because of many connection errors; unblock with 'mysqladmin flush-hosts'`,
  );
}

/** Counts what a handshake came to, as MySQL's host cache does. */
export function countOutcome(outcome: SignInOutcome, hostErrors: HostErrors, address: string): void {
  if (outcome.kind === 'broken') hostErrors.brokenHandshake(address);
  if (outcome.kind === 'signed-in') hostErrors.signedIn(address);
}
