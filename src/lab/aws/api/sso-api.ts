import type { ApiContext } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import { JsonInput, type JsonObject } from './json-input.ts';
import { oauthFault, POLL_INTERVAL, type SignInDesk } from './sign-in.ts';
import { rolePrincipal } from './sts-api.ts';

/** An unsigned REST call of IAM Identity Center. */
export interface RestRequest {
  readonly url: URL;
  readonly body: string;
  readonly bearerToken: string | undefined;
}

export interface RestOperation {
  /** For faults and the call record: `sso-oidc:CreateToken`. */
  readonly action: string;
  run(request: RestRequest): JsonObject;
}

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const CREDENTIALS_LIFE_MS = 3_600_000;

/** SSO-OIDC (RegisterClient, StartDeviceAuthorization, CreateToken) and the portal (GetRoleCredentials), by method and path. */
export function ssoApi(
  context: ApiContext,
  desk: SignInDesk,
  base: () => string,
): Readonly<Record<string, RestOperation>> {
  return {
    'POST /client/register': {
      action: 'sso-oidc:RegisterClient',
      run: ({ body }) => {
        const input = JsonInput.parse(body);
        if (input.text('clientType') !== 'public' || !input.text('clientName')) {
          throw oauthFault('invalid_request', 'Invalid client metadata provided');
        }
        const client = desk.registerClient();
        return {
          clientId: client.clientId,
          clientSecret: client.clientSecret,
          clientIdIssuedAt: client.issuedAt,
          clientSecretExpiresAt: client.expiresAt,
        };
      },
    },
    'POST /device_authorization': {
      action: 'sso-oidc:StartDeviceAuthorization',
      run: ({ body }) => {
        const input = JsonInput.parse(body);
        if (!input.text('startUrl')) throw oauthFault('invalid_request', 'Invalid start URL provided');
        const device = desk.startDevice(input.text('clientId') ?? '', input.text('clientSecret') ?? '');
        return {
          deviceCode: device.deviceCode,
          userCode: device.userCode,
          verificationUri: `${base()}/device`,
          verificationUriComplete: `${base()}/device?user_code=${device.userCode}`,
          expiresIn: Math.round((device.expiresAt - context.world.clock.wall()) / 1_000),
          interval: POLL_INTERVAL / 1_000,
        };
      },
    },
    'POST /token': {
      action: 'sso-oidc:CreateToken',
      run: ({ body }) => {
        const input = JsonInput.parse(body);
        const client = [input.text('clientId') ?? '', input.text('clientSecret') ?? ''] as const;
        const grantType = input.text('grantType');
        if (grantType !== DEVICE_GRANT && grantType !== 'refresh_token') {
          throw oauthFault('unsupported_grant_type', `Unsupported grant type ${grantType}`);
        }
        const token =
          grantType === DEVICE_GRANT
            ? desk.redeemDevice(...client, input.text('deviceCode') ?? '')
            : desk.refresh(...client, input.text('refreshToken') ?? '');
        return { ...token, tokenType: 'Bearer' };
      },
    },
    'GET /federation/credentials': {
      action: 'sso:GetRoleCredentials',
      run: ({ url, bearerToken }) => {
        if (bearerToken === undefined || !desk.isTokenValid(bearerToken)) {
          throw new AwsFault('UnauthorizedException', 401, 'Session token not found or invalid');
        }
        const inventory = context.inventory();
        const { sso } = inventory;
        const isGranted =
          url.searchParams.get('role_name') === sso.permissionSet &&
          url.searchParams.get('account_id') === inventory.account;
        if (!isGranted) throw new AwsFault('ForbiddenException', 403, 'No access');
        const role = `AWSReservedSSO_${sso.permissionSet}_0a1b2c3d4e5f6071`;
        const principal = rolePrincipal(inventory, role, sso.userName, sso.denied);
        const key = context.keys.issueTemporary(principal, CREDENTIALS_LIFE_MS, true);
        return {
          roleCredentials: {
            accessKeyId: key.accessKeyId,
            secretAccessKey: key.secretAccessKey.reveal(),
            sessionToken: key.sessionToken.reveal(),
            expiration: key.expiresAt,
          },
        };
      },
    },
  };
}
