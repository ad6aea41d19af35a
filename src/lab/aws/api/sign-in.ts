import type { Millis } from '../../../domain/millis.ts';
import type { World } from '../../../runtime/world.ts';
import { AwsFault } from './aws-fault.ts';

/** What becomes of a device authorization: a person decides on the page, or the lab decides at the second poll. */
export type SignInMode = 'page' | 'approve' | 'deny';

export interface DeviceAuthorization {
  readonly deviceCode: string;
  readonly userCode: string;
  readonly expiresAt: Millis;
}

interface Device extends DeviceAuthorization {
  state: 'pending' | 'approved' | 'denied' | 'used';
  polls: number;
  lastPoll: Millis | undefined;
  readonly clientId: string;
}

export interface AccessToken {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly expiresIn: number;
}

const MINUTE: Millis = 60_000;
const DEVICE_LIFE = 10 * MINUTE;
const CLIENT_LIFE = 90 * 24 * 60 * MINUTE;
const TOKEN_LIFE = 8 * 60 * MINUTE;
/** As the real service asks for; polling faster is answered by slow_down. */
export const POLL_INTERVAL: Millis = 1_000;
const MAX_DEVICES = 100;
/** No vowels and no look-alikes, as the real ones. */
const CODE_ALPHABET = 'BCDFGHJKLMNPQRSTVWXZ';

/** The sign-in state of the lab's IAM Identity Center: clients, device codes, tokens. Memory only. */
export class SignInDesk {
  readonly #world: Pick<World, 'clock' | 'random'>;
  readonly #clients = new Map<string, { readonly secret: string; readonly expiresAt: Millis }>();
  readonly #devices = new Map<string, Device>();
  readonly #tokens = new Map<string, Millis>();
  readonly #refreshTokens = new Map<string, string>();
  /** May be changed at any time. */
  mode: SignInMode;

  constructor(world: Pick<World, 'clock' | 'random'>, mode: SignInMode) {
    this.#world = world;
    this.mode = mode;
  }

  registerClient(): {
    readonly clientId: string;
    readonly clientSecret: string;
    readonly issuedAt: number;
    readonly expiresAt: number;
  } {
    const now = this.#world.clock.wall();
    const clientId = this.#random(16);
    const clientSecret = this.#random(40);
    this.#clients.set(clientId, { secret: clientSecret, expiresAt: now + CLIENT_LIFE });
    trim(this.#clients, MAX_DEVICES);
    return {
      clientId,
      clientSecret,
      issuedAt: Math.floor(now / 1_000),
      expiresAt: Math.floor((now + CLIENT_LIFE) / 1_000),
    };
  }

  startDevice(clientId: string, clientSecret: string): DeviceAuthorization {
    this.#checkClient(clientId, clientSecret);
    const letters = Array.from(this.#world.random.bytes(8), (byte) => CODE_ALPHABET[byte % CODE_ALPHABET.length]).join(
      '',
    );
    const device: Device = {
      deviceCode: this.#random(32),
      userCode: `${letters.slice(0, 4)}-${letters.slice(4)}`,
      expiresAt: this.#world.clock.wall() + DEVICE_LIFE,
      clientId,
      state: 'pending',
      polls: 0,
      lastPoll: undefined,
    };
    this.#devices.set(device.deviceCode, device);
    trim(this.#devices, MAX_DEVICES);
    return device;
  }

  /** CreateToken with a device code: throws authorization_pending, slow_down, expired_token, access_denied or invalid_grant. */
  redeemDevice(clientId: string, clientSecret: string, deviceCode: string): AccessToken {
    this.#checkClient(clientId, clientSecret);
    const device = this.#devices.get(deviceCode);
    if (device === undefined || device.clientId !== clientId || device.state === 'used')
      throw oauthFault('invalid_grant', 'Invalid grant provided');
    const now = this.#world.clock.wall();
    if (now >= device.expiresAt) throw oauthFault('expired_token', 'Device code expired');
    const isHasty = device.lastPoll !== undefined && now - device.lastPoll < POLL_INTERVAL * 0.9;
    device.lastPoll = now;
    if (isHasty) throw oauthFault('slow_down', 'Slow down to poll device code');
    if (device.polls > 0 && device.state === 'pending' && this.mode !== 'page') {
      device.state = this.mode === 'approve' ? 'approved' : 'denied';
    }
    device.polls += 1;
    if (device.state === 'pending') throw oauthFault('authorization_pending', '');
    if (device.state === 'denied') throw oauthFault('access_denied', 'Access denied');
    device.state = 'used';
    return this.#issue(clientId);
  }

  /** CreateToken with a refresh token. */
  refresh(clientId: string, clientSecret: string, refreshToken: string): AccessToken {
    this.#checkClient(clientId, clientSecret);
    if (this.#refreshTokens.get(refreshToken) !== clientId)
      throw oauthFault('invalid_grant', 'Invalid refresh token provided');
    this.#refreshTokens.delete(refreshToken);
    return this.#issue(clientId);
  }

  isTokenValid(accessToken: string): boolean {
    const expiresAt = this.#tokens.get(accessToken);
    return expiresAt !== undefined && this.#world.clock.wall() < expiresAt;
  }

  /** What a person says on the page. Returns false for a code that is unknown, over, or decided already. */
  decide(userCode: string, isApproved: boolean): boolean {
    const device = [...this.#devices.values()].find((one) => one.userCode === userCode.trim().toUpperCase());
    if (device === undefined || device.state !== 'pending' || this.#world.clock.wall() >= device.expiresAt)
      return false;
    device.state = isApproved ? 'approved' : 'denied';
    return true;
  }

  /** Ends every token, as a sign-out elsewhere does. */
  signOut(): void {
    this.#tokens.clear();
    this.#refreshTokens.clear();
  }

  #issue(clientId: string): AccessToken {
    const accessToken = this.#random(48);
    const refreshToken = this.#random(48);
    this.#tokens.set(accessToken, this.#world.clock.wall() + TOKEN_LIFE);
    this.#refreshTokens.set(refreshToken, clientId);
    trim(this.#tokens, MAX_DEVICES);
    trim(this.#refreshTokens, MAX_DEVICES);
    return { accessToken, refreshToken, expiresIn: TOKEN_LIFE / 1_000 };
  }

  #checkClient(clientId: string, clientSecret: string): void {
    const client = this.#clients.get(clientId);
    if (client?.secret !== clientSecret) throw oauthFault('invalid_client', 'Invalid client ID/secret provided');
    if (this.#world.clock.wall() >= client.expiresAt) throw oauthFault('invalid_client', 'Client registration expired');
  }

  #random(byteCount: number): string {
    return this.#world.random.bytes(byteCount).toString('base64url');
  }
}

const OAUTH_CODES: Readonly<Record<string, readonly [code: string, httpStatus: number]>> = {
  authorization_pending: ['AuthorizationPendingException', 400],
  slow_down: ['SlowDownException', 400],
  expired_token: ['ExpiredTokenException', 400],
  access_denied: ['AccessDeniedException', 400],
  invalid_client: ['InvalidClientException', 401],
  invalid_grant: ['InvalidGrantException', 400],
  invalid_request: ['InvalidRequestException', 400],
  unsupported_grant_type: ['UnsupportedGrantTypeException', 400],
};

/** An OAuth error as the SSO OIDC service spells it. */
export function oauthFault(error: string, description: string): AwsFault {
  const [code, status] = OAUTH_CODES[error] ?? ['InternalServerException', 500];
  return new AwsFault(code, status, '', { error, error_description: description });
}

/** Forgets the oldest entries. */
function trim(map: Map<string, unknown>, size: number): void {
  for (const key of map.keys()) {
    if (map.size <= size) return;
    map.delete(key);
  }
}
