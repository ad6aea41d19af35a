/** Tokens for databases of RDS, which are signed URLs. No logic here. */
export { Signer } from '@aws-sdk/rds-signer';
