/** What we use of STS, and nothing else, so that a bundler can leave out the rest. No logic here. */
export { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
