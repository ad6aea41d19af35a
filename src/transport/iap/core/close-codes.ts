/**
 * What the end of a websocket means for its session (docs/protocol/iap.md, "Close codes", "HTTP statuses"), and what to tell people. A
 * table with its words; whether a verdict may be followed once more is counted by the driver (`ALLOWANCE`).
 */
import { CloudtunError, type ErrorDetail } from '../../../domain/errors.ts';

/** How far the websocket had come: asking for a session, asking to go on with one, or carrying it. */
export type LinkPhase = 'connect' | 'reconnect' | 'open';

export type Verdict =
  /** The far connection has ended; everything that came before is to be delivered. */
  { readonly do: 'end' } | Trouble;

export type Trouble =
  /** Lost on the way: try again. */
  | { readonly do: 'again'; readonly error: CloudtunError }
  /** The service is in trouble, or says something unknown: try again, but not for long. */
  | { readonly do: 'again-briefly'; readonly error: CloudtunError }
  /** The old websocket still counts as alive there: wait, and try again. */
  | { readonly do: 'wait'; readonly error: CloudtunError }
  /** A new token is wanted; then try again. */
  | { readonly do: 'renew'; readonly error: CloudtunError }
  | { readonly do: 'fail'; readonly error: CloudtunError };

/** How often in a row a verdict is followed, by phase; Infinity: until the time for coming back is over. Guessed, but for the twos. */
export const ALLOWANCE: Readonly<
  Record<'connect' | 'resume', Readonly<Record<'again' | 'again-briefly' | 'wait' | 'renew', number>>>
> = {
  connect: { again: 1, 'again-briefly': 2, wait: 0, renew: 1 },
  resume: { again: Number.POSITIVE_INFINITY, 'again-briefly': 2, wait: 20, renew: 1 },
};

/** The Close of a websocket as it was received, with what a LONG_CLOSE said before. */
export interface LinkEnd {
  /** 1005: a Close without a code; 1006: no Close at all. */
  readonly code: number;
  readonly reason: string;
  /** What broke the websocket, if that is known. */
  readonly error?: CloudtunError;
  readonly longClose?: { readonly code: number; readonly reason: string };
}

/** @param to for people: `port 5432 of web-1 (acme/europe-west4-a)` */
export function judgeClose(end: LinkEnd, phase: LinkPhase, to: string): Verdict {
  const { code, reason } = mostSpecific(end);
  // What our own side found wrong with the peer's frames is no accident of the network.
  if (end.error?.code === 'CT_PROTO_FRAME') return { do: 'fail', error: end.error };
  const details = said(code, reason);
  const error = (errorCode: ConstructorParameters<typeof CloudtunError>[0], message: string, hint: string | string[]) =>
    new CloudtunError(errorCode, message, { details, hint, ...(end.error ? { cause: end.error } : {}) });
  switch (code) {
    case 1000:
    case 4009:
    case 4010:
      if (phase === 'open') return { do: 'end' };
      if (phase === 'connect') {
        return fail(
          error('CT_REMOTE_REFUSED', `${to} took the connection and closed it at once`, [
            'check that the service behind the port runs and admits connections from Identity-Aware Proxy',
            'if access was granted just now, try again in a few minutes',
          ]),
        );
      }
      // The rest of the far side's bytes, if any, was not sent again: a regular end here could hide a hole.
      return fail(
        error('CT_SESSION_ENDED', `the connection to ${to} ended while the tunnel was interrupted`, TRY_AGAIN),
      );
    case 1001:
    case 1011:
    case 1012:
    case 1013:
      return { do: 'again', error: error('CT_SERVICE', `the relay gave up a connection to ${to}`, TRY_LATER) };
    case 1005:
      return fail(error('CT_SESSION_ENDED', `the relay ended the connection to ${to} without saying why`, TRY_AGAIN));
    case 1006:
      return {
        do: 'again',
        error:
          end.error ??
          error(
            'CT_NETWORK',
            'the connection to the relay broke',
            'check the network; a proxy on the way may cut websockets',
          ),
      };
    case 4001:
    case 4074:
      return fail(
        error('CT_SESSION_ENDED', `the tunnel to ${to} was interrupted for too long and cannot be resumed`, TRY_AGAIN),
      );
    case 4002:
      return {
        do: 'wait',
        error: error('CT_TUNNEL_LOST', `the relay still holds the lost connection to ${to}`, TRY_LATER),
      };
    case 4003:
      return fail(
        error('CT_REMOTE_REFUSED', `Identity-Aware Proxy could not connect to ${to}`, [
          'check that something listens on the port, on the network interface and not on loopback only',
          'check that the firewall lets 35.235.240.0/20 in, and that the machine has finished booting',
        ]),
      );
    case 4004:
      return {
        do: 'renew',
        error: error('CT_CREDENTIALS_EXPIRED', 'the relay wants a new sign-in', SIGN_IN),
      };
    case 4005:
    case 4006:
    case 4007:
    case 4008:
    case 4013:
      return fail(
        error(
          'CT_PROTO_FRAME',
          'the relay did not understand what cloudtun sent',
          'this is a defect in cloudtun; please report it with the output of the same command and -v',
        ),
      );
    case 4033:
      return fail(
        error('CT_DENIED', `this identity may not open a tunnel to ${to}`, [
          'needed is iap.tunnelInstances.accessViaIAP (role IAP-secured Tunnel User), or for hosts iap.tunnelDestGroups.accessViaIAP',
          'conditions on port, address, time or access level count as well; a new grant takes minutes; a wrong project looks the same',
        ]),
      );
    case 4047:
    case 4051:
      return fail(
        error('CT_TARGET_NOT_FOUND', `Identity-Aware Proxy finds no running machine for ${to}`, [
          'check name, zone and project, and that the machine runs: cloudtun targets',
          'a machine that was created just now is not known yet: try again in a minute',
        ]),
      );
    case 4054:
      return fail(
        error(
          'CT_DENIED',
          `a policy of the organisation forbids the tunnel to ${to}`,
          'ask the administrator of VPC Service Controls or Access Context Manager, and give the id in the message',
        ),
      );
    default:
      return { do: 'again-briefly', error: error('CT_SERVICE', `the relay closed the connection to ${to}`, TRY_LATER) };
  }
}

/** A status other than 101. @param host of the relay */
export function judgeStatus(status: number, phase: LinkPhase, host: string, to: string): Trouble {
  const error = (errorCode: ConstructorParameters<typeof CloudtunError>[0], message: string, hint: string) =>
    new CloudtunError(errorCode, `${message} (HTTP ${status})`, { hint, details: [['relay', host]] });
  if (status === 401)
    return {
      do: 'renew',
      error: error('CT_CREDENTIALS_EXPIRED', 'the relay does not accept the access token', SIGN_IN),
    };
  if (status === 403) {
    return fail(
      error(
        'CT_PROXY',
        `something on the way to ${host} refused the connection`,
        'missing permissions look otherwise: ask who runs the proxy or firewall of this network',
      ),
    );
  }
  if (status === 404) {
    return fail(
      error(
        'CT_TARGET_NOT_FOUND',
        `Identity-Aware Proxy knows no zone or machine for ${to}`,
        'check name, zone and project: cloudtun targets',
      ),
    );
  }
  if (status === 407) {
    return fail(
      error(
        'CT_PROXY',
        `the proxy on the way to ${host} wants a user and password`,
        'put them into HTTPS_PROXY: http://user:password@proxy:port',
      ),
    );
  }
  if (status === 429) {
    const throttled = error('CT_THROTTLED', 'the relay asks to slow down', TRY_LATER);
    return phase === 'connect' ? fail(throttled) : { do: 'again', error: throttled };
  }
  if (status >= 500)
    return { do: 'again', error: error('CT_SERVICE', 'the relay answered with an error of its own', TRY_LATER) };
  return fail(
    error(
      'CT_UPGRADE_REFUSED',
      `the relay refused the request for ${to}`,
      'check project, zone and name of the machine, and the permission to reach it: cloudtun targets',
    ),
  );
}

/** Neither an answer nor a Close came behind the upgrade. */
export function silent(to: string, limit: number): CloudtunError {
  return new CloudtunError(
    'CT_REMOTE_SILENT',
    `the relay accepted the request, but ${to} did not answer within ${Math.round(limit / 1000)} s`,
    {
      hint: [
        'check that the firewall lets 35.235.240.0/20 in to the port',
        'check that the machine runs and something listens on the port',
      ],
    },
  );
}

const TRY_AGAIN = 'connect again';
const TRY_LATER = 'try again later';
const SIGN_IN =
  'sign in again: gcloud auth login, or gcloud auth application-default login for application default credentials';

const fail = (error: CloudtunError): Trouble => ({ do: 'fail', error });

/** Codes that say no more than that it is over: a LONG_CLOSE before them says why. */
const UNSPECIFIC: ReadonlySet<number> = new Set([1000, 1005, 1006, 4000]);

function mostSpecific({ code, reason, longClose }: LinkEnd): { readonly code: number; readonly reason: string } {
  if (longClose === undefined) return { code, reason };
  if (longClose.code === code) return { code, reason: longClose.reason || reason };
  return UNSPECIFIC.has(code) ? longClose : { code, reason };
}

/** The service's own words, quoted, without control characters; the code for whoever looks it up. */
function said(code: number, reason: string): ErrorDetail[] {
  const text = reason
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')
    .trim()
    .slice(0, 400);
  return [['relay', text === '' ? `close ${code}` : `close ${code} "${text}"`]];
}
