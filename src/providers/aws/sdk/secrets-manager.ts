/** What we use of Secrets Manager, and nothing else, so that a bundler can leave out the rest. No logic here. */

export { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
