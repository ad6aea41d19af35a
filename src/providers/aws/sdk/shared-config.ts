/** The reader of ~/.aws/config and ~/.aws/credentials that the SDK itself uses. No logic here. */
export { loadSharedConfigFiles } from '@smithy/shared-ini-file-loader';
