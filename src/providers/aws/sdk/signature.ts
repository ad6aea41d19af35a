/** Signature Version 4, as the SDK clients use it. No logic here. */
export { SignatureV4 } from '@smithy/signature-v4';
