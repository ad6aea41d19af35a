/** What we use of KMS, and nothing else, so that a bundler can leave out the rest. No logic here. */

export { GetPublicKeyCommand, KMSClient, SignCommand } from '@aws-sdk/client-kms';
