/** What we use of Identity Center's sign-in, and nothing else, so that a bundler can leave out the rest. No logic here. */

export type { CreateTokenCommandOutput, StartDeviceAuthorizationCommandOutput } from '@aws-sdk/client-sso-oidc';
export {
  CreateTokenCommand,
  RegisterClientCommand,
  SSOOIDCClient,
  StartDeviceAuthorizationCommand,
} from '@aws-sdk/client-sso-oidc';
