import { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { isoTime } from '../../runtime/iso-time.ts';
import type { World } from '../../runtime/world.ts';
import type { LoginReport, SignIn } from '../provider.ts';
import type { AwsApi } from './aws-api.ts';
import { awsErrorName } from './aws-errors.ts';
import type { SsoSettings } from './aws-settings.ts';
import { loginCommand } from './credentials.ts';
import { type SsoToken, ssoCachePath, writeSsoToken } from './sso-cache.ts';

const DEVICE_CODE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
/** RFC 8628 3.2: what to wait between two questions when the service names nothing. */
const DEFAULT_INTERVAL: Millis = 5_000;
/** RFC 8628 3.5: how much longer to wait after each `slow_down`. */
const SLOW_DOWN_BY: Millis = 5_000;

interface Registration {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly expiresAt: Millis;
}

interface Device {
  readonly deviceCode: string;
  readonly shown: SignIn;
  readonly interval: Millis;
}

/**
 * Signs a person in at Identity Center by device authorisation (RFC 8628), and leaves the token where every AWS SDK and the AWS CLI
 * look for it. Identity Center keeps the person's password and second factor; we only ever see the token.
 *
 * @param show called once, with what to open and what to compare
 * @throws CT_CONFIG when the profile knows no Identity Center, CT_LOGIN_FAILED when it is refused or takes too long, CT_STATE
 */
export async function signIn(
  world: World,
  api: AwsApi,
  show: (signIn: SignIn) => void,
  signal: AbortSignal,
): Promise<LoginReport> {
  const { sso } = api.settings;
  if (sso === undefined) throw noIdentityCenter(api.settings.profile);
  const registration = await register(world, api, sso, signal);
  const device = await startDevice(api, sso, registration, signal);
  show(device.shown);
  const token = await waitForToken(world, api, sso, registration, device, signal);
  const path = ssoCachePath(world.paths, sso);
  try {
    writeSsoToken(path, token);
  } catch (error) {
    throw new CloudtunError('CT_STATE', `the sign-in cannot be stored in ${path}`, {
      hint: 'make the directory writable, and sign in again',
      cause: error,
    });
  }
  api.credentials.forget();
  return { expiresAt: isoTime(token.expiresAt), cachedIn: path };
}

function noIdentityCenter(profile: string | undefined): CloudtunError {
  return new CloudtunError(
    'CT_CONFIG',
    `profile ${profile ?? 'default'} has no Identity Center settings to sign in with`,
    {
      hint: [
        'give it sso_session (with sso_start_url and sso_region in the [sso-session] section), sso_account_id and sso_role_name in ~/.aws/config',
        'or choose a profile that has: cloudtun login --profile NAME',
      ],
    },
  );
}

function failed(api: AwsApi, why: string, cause?: unknown): CloudtunError {
  return new CloudtunError('CT_LOGIN_FAILED', `the sign-in ${why}`, {
    hint: `start again: ${loginCommand(api.settings)}`,
    ...(cause === undefined ? {} : { cause }),
  });
}

async function register(world: World, api: AwsApi, sso: SsoSettings, signal: AbortSignal): Promise<Registration> {
  const call = { action: 'sso-oidc:RegisterClient', doing: 'register with Identity Center' };
  const answer = await api.ssoOidc(sso.region, call, signal, (sdk, client, options) =>
    client.send(
      new sdk.RegisterClientCommand({
        clientName: 'cloudtun',
        clientType: 'public',
        // The older form of configuration knows neither scopes nor refresh tokens.
        ...(sso.sessionName === undefined
          ? {}
          : { scopes: [...sso.scopes], grantTypes: [DEVICE_CODE_GRANT, 'refresh_token'] }),
      }),
      options,
    ),
  );
  if (!answer.clientId || !answer.clientSecret)
    throw failed(api, 'could not start: Identity Center gave no registration');
  const expiresAt = (answer.clientSecretExpiresAt ?? 0) * 1_000 || world.clock.wall();
  return { clientId: answer.clientId, clientSecret: answer.clientSecret, expiresAt };
}

async function startDevice(
  api: AwsApi,
  sso: SsoSettings,
  { clientId, clientSecret }: Registration,
  signal: AbortSignal,
): Promise<Device> {
  const call = { action: 'sso-oidc:StartDeviceAuthorization', doing: `sign in at ${sso.startUrl}` };
  const answer = await api.ssoOidc(sso.region, call, signal, (sdk, client, options) =>
    client.send(new sdk.StartDeviceAuthorizationCommand({ clientId, clientSecret, startUrl: sso.startUrl }), options),
  );
  const url = answer.verificationUriComplete ?? answer.verificationUri;
  if (!answer.deviceCode || !answer.userCode || !url)
    throw failed(api, 'could not start: Identity Center gave no code');
  return {
    deviceCode: answer.deviceCode,
    shown: { url, userCode: answer.userCode, expiresInMs: (answer.expiresIn ?? 600) * 1_000 },
    interval: answer.interval ? answer.interval * 1_000 : DEFAULT_INTERVAL,
  };
}

async function waitForToken(
  world: World,
  api: AwsApi,
  sso: SsoSettings,
  registration: Registration,
  device: Device,
  signal: AbortSignal,
): Promise<SsoToken> {
  const { clientId, clientSecret } = registration;
  const deadline = world.clock.now() + device.shown.expiresInMs;
  const call = { action: 'sso-oidc:CreateToken', doing: 'sign in' };
  let { interval } = device;
  while (world.clock.now() < deadline) {
    await world.clock.sleep(interval, signal);
    try {
      const answer = await api.ssoOidc(sso.region, call, signal, (sdk, client, options) =>
        client.send(
          new sdk.CreateTokenCommand({
            clientId,
            clientSecret,
            deviceCode: device.deviceCode,
            grantType: DEVICE_CODE_GRANT,
          }),
          options,
        ),
      );
      if (!answer.accessToken) throw failed(api, 'gave no token');
      return {
        startUrl: sso.startUrl,
        region: sso.region,
        accessToken: answer.accessToken,
        expiresAt: world.clock.wall() + (answer.expiresIn ?? 0) * 1_000,
        clientId,
        clientSecret,
        registrationExpiresAt: registration.expiresAt,
        ...(answer.refreshToken ? { refreshToken: answer.refreshToken } : {}),
      };
    } catch (error) {
      switch (awsErrorName(error)) {
        case 'AuthorizationPendingException':
          continue;
        case 'SlowDownException':
          interval += SLOW_DOWN_BY;
          continue;
        case 'ExpiredTokenException':
          throw failed(api, 'was not finished in time', error);
        case 'AccessDeniedException':
          throw failed(api, 'was refused', error);
        default:
          throw error;
      }
    }
  }
  throw failed(api, 'was not finished in time');
}
