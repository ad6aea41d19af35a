import { CloudtunError } from '../../domain/errors.ts';
import type { CloudSigningKey } from '../../domain/signing-key.ts';
import type { AwsApi } from './aws-api.ts';
import { awsErrorName } from './aws-errors.ts';

/** The one kind of key that is taken: SHA-256 digests of any length of text, and every library can check it. */
const KEY_SPEC = 'ECC_NIST_P256';

/**
 * A key of KMS that signs.
 *
 * @param key id, ARN, alias or alias ARN
 * @throws CT_TARGET_NOT_FOUND without such a key, CT_CONFIG where it is one for other things, CT_DENIED …
 */
export async function kmsSigningKey(api: AwsApi, key: string, signal: AbortSignal): Promise<CloudSigningKey> {
  const call = (action: string, doing: string) => ({ action: `kms:${action}`, resource: key, doing });
  const found = await api
    .kms(call('GetPublicKey', `read the public half of the KMS key ${key}`), signal, (sdk, client, options) =>
      client.send(new sdk.GetPublicKeyCommand({ KeyId: key }), options),
    )
    .catch((error: unknown) => {
      if (awsErrorName(error) === 'UnsupportedOperationException') throw wrongKind(key, 'one that encrypts', error);
      if (awsErrorName(error) !== 'NotFoundException') throw error;
      throw new CloudtunError('CT_TARGET_NOT_FOUND', `there is no KMS key ${key} in ${api.region}`, {
        hint: `make one for signing: aws kms create-key --key-usage SIGN_VERIFY --key-spec ${KEY_SPEC}`,
        cause: error,
      });
    });
  const { PublicKey, KeySpec, KeyId = key } = found;
  if (PublicKey === undefined || KeySpec !== KEY_SPEC) throw wrongKind(key, `a ${KeySpec ?? 'key without a kind'}`);
  return {
    publicKey: PublicKey,
    sign: async (digest, during) => {
      const { Signature } = await api.kms(
        call('Sign', `sign with the KMS key ${key}`),
        during,
        (sdk, client, options) =>
          client.send(
            new sdk.SignCommand({
              KeyId,
              Message: digest,
              MessageType: 'DIGEST',
              SigningAlgorithm: 'ECDSA_SHA_256',
            }),
            options,
          ),
      );
      if (Signature === undefined) throw new CloudtunError('CT_SERVICE', `KMS signed with ${key} and sent nothing`);
      return Signature;
    },
  };
}

function wrongKind(key: string, what: string, cause?: unknown): CloudtunError {
  return new CloudtunError('CT_CONFIG', `the KMS key ${key} is ${what}, and a journal is signed with ${KEY_SPEC}`, {
    hint: `make one: aws kms create-key --key-usage SIGN_VERIFY --key-spec ${KEY_SPEC}`,
    ...(cause !== undefined && { cause }),
  });
}
