import { createHash, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../domain/secret.ts';
import { type ApiFault, parseApiFaults } from './api-faults.ts';
import type { ControlRequest } from './aws/api/aws-api.ts';
import type { SignInMode } from './aws/api/sign-in.ts';
import type { HttpAnswer } from './http.ts';

/** What the control endpoint can make the lab do. */
export interface ControlledLab {
  /** Any JSON value. */
  status(): object;
  setApiFaults(faults: readonly ApiFault[]): void;
  /** Throws when the patch is wrong. */
  setGatewayFaults(patch: object): void;
  /** Faults of one session on top; null takes them away. Throws when the patch is wrong. */
  setSessionFaults(sessionId: string, patch: object | undefined): void;
  setGcpApiFaults(faults: readonly ApiFault[]): void;
  /** Of the IAP relay. Throws when the patch is wrong. */
  setRelayFaults(patch: object): void;
  /** Of the machines' sshd. Throws when the patch is wrong. */
  setSshFaults(patch: object): void;
  /** Ends the access tokens of a person at Google now, the refresh tokens too when it is for good. */
  revokeTokens(email: string, forGood: boolean): void;
  /** Requests and frames that the relay saw. */
  relayJournal(): object;
  /** Who decides about calls, by what (iam-settings.ts). Throws when it is wrong. */
  setIam(settings: unknown): void;
  setSignIn(mode: SignInMode): void;
  /** Throws when it is wrong (account-change.ts). */
  changeAccount(change: unknown): void;
  requestStop(): void;
}

const SIGN_IN_MODES: readonly SignInMode[] = ['page', 'approve', 'deny'];

/**
 * The control endpoint, for `lab status`, `lab down` and tests in other processes. `Authorization: Bearer <control token>` always.
 *
 * - `GET /_lab/status`
 * - `GET /_lab/relay`: the journal of the IAP relay
 * - `POST /_lab/faults` `{ "api"?: [...], "gateway"?: {...}, "sessions"?: { "<id>": {...} | null }, "signIn"?: "approve", "gcpApi"?: [...],
 *   "relay"?: {...}, "ssh"?: {...} }`: each member that is given replaces what was set before
 * - `POST /_lab/iam` `{ "aws"?: { "enforce": true, … }, "gcp"?: { "enforce": true, "groups": {…} }, "records"?: {…} }`: iam-settings.ts
 * - `POST /_lab/revoke` `{ "email": "…", "forGood"?: true }`: Google's tokens of a person
 * - `POST /_lab/change` `{ "machines"?: {…}, "replace"?: { "bastion-a": "i-…" }, "databases"?: {…}, "writers"?: {…}, "expireKeys"?: true }`:
 *   what happens to the AWS account (account-change.ts)
 * - `POST /_lab/stop`
 */
export async function answerControl(lab: ControlledLab, token: Secret, request: ControlRequest): Promise<HttpAnswer> {
  if (!isAuthorized(token, request.authorization)) return json(401, { error: 'the control token is missing or wrong' });
  switch (`${request.method} ${request.path}`) {
    case 'GET /_lab/status':
      return json(200, lab.status());
    case 'GET /_lab/relay':
      return json(200, lab.relayJournal());
    case 'POST /_lab/revoke':
      return revoke(lab, request.body);
    case 'POST /_lab/iam':
      return attempt(() => lab.setIam(asObject(JSON.parse(request.body))));
    case 'POST /_lab/faults':
      return setFaults(lab, request.body);
    case 'POST /_lab/change':
      return attempt(() => lab.changeAccount(asObject(JSON.parse(request.body))));
    case 'POST /_lab/stop':
      return { ...json(200, { stopping: true }), afterwards: () => lab.requestStop() };
    default:
      return json(404, { error: `no such control: ${request.method} ${request.path}` });
  }
}

function setFaults(lab: ControlledLab, body: string): HttpAnswer {
  try {
    const { api, gateway, sessions, signIn, gcpApi, relay, ssh, ...rest } = asObject(JSON.parse(body));
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined) throw new RangeError(`unknown member ${unknown}`);
    const apiFaults = readApiFaults(api);
    const gcpApiFaults = readApiFaults(gcpApi);
    const mode = SIGN_IN_MODES.find((one) => one === signIn);
    if (signIn !== undefined && mode === undefined)
      throw new RangeError(`signIn must be one of ${SIGN_IN_MODES.join(', ')}`);
    if (gateway !== undefined) lab.setGatewayFaults(asObject(gateway));
    for (const [id, patch] of Object.entries(asObject(sessions ?? {}))) {
      lab.setSessionFaults(id, patch === null ? undefined : asObject(patch));
    }
    if (relay !== undefined) lab.setRelayFaults(asObject(relay));
    if (ssh !== undefined) lab.setSshFaults(asObject(ssh));
    if (apiFaults !== undefined) lab.setApiFaults(apiFaults);
    if (gcpApiFaults !== undefined) lab.setGcpApiFaults(gcpApiFaults);
    if (mode !== undefined) lab.setSignIn(mode);
    return json(200, { ok: true });
  } catch (error) {
    return json(400, { error: error instanceof Error ? error.message : String(error) });
  }
}

function attempt(run: () => void): HttpAnswer {
  try {
    run();
    return json(200, { ok: true });
  } catch (error) {
    return json(400, { error: error instanceof Error ? error.message : String(error) });
  }
}

function readApiFaults(value: unknown): readonly ApiFault[] | undefined {
  if (value === undefined) return undefined;
  const faults = parseApiFaults(value);
  if (typeof faults === 'string') throw new RangeError(faults);
  return faults;
}

function revoke(lab: ControlledLab, body: string): HttpAnswer {
  try {
    const { email, forGood } = asObject(JSON.parse(body));
    if (typeof email !== 'string') throw new RangeError('an email is needed');
    lab.revokeTokens(email, forGood === true);
    return json(200, { ok: true });
  } catch (error) {
    return json(400, { error: error instanceof Error ? error.message : String(error) });
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new TypeError('an object is needed');
}

function isAuthorized(token: Secret, authorization: string | undefined): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(`Bearer ${token.reveal()}`), digest(authorization ?? ''));
}

const json = (status: number, value: object): HttpAnswer => ({
  status,
  contentType: 'application/json',
  body: `${JSON.stringify(value)}\n`,
});
