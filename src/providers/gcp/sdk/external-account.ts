/** Workload and workforce federation in all their kinds. No logic here. */
export { AwsClient, type AwsClientOptions } from 'google-auth-library/build/src/auth/awsclient.js';
export {
  ExternalAccountAuthorizedUserClient,
  type ExternalAccountAuthorizedUserClientOptions,
} from 'google-auth-library/build/src/auth/externalAccountAuthorizedUserClient.js';
export {
  IdentityPoolClient,
  type IdentityPoolClientOptions,
} from 'google-auth-library/build/src/auth/identitypoolclient.js';
export {
  PluggableAuthClient,
  type PluggableAuthClientOptions,
} from 'google-auth-library/build/src/auth/pluggable-auth-client.js';
