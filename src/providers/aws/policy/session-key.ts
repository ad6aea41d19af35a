import { CloudtunError } from '../../../domain/errors.ts';
import type { AwsApi } from '../aws-api.ts';
import { unlessMissing } from './refusals.ts';
import { SHELL_DOCUMENT } from './statements.ts';

/**
 * The KMS key that sessions of a region are encrypted with, from the account's Session Manager preferences: an id, an ARN or an alias.
 * Undefined where there is none, or where the preferences may not be read.
 */
export async function sessionKey(api: AwsApi, signal: AbortSignal): Promise<string | undefined> {
  const call = {
    action: 'ssm:GetDocument',
    resource: `document/${SHELL_DOCUMENT}`,
    doing: 'read the preferences of Session Manager',
  };
  try {
    const answer = await unlessMissing(
      api.ssm(call, signal, (sdk, client, options) =>
        client.send(new sdk.GetDocumentCommand({ Name: SHELL_DOCUMENT, DocumentFormat: 'JSON' }), options),
      ),
    );
    const { inputs = {} } = JSON.parse(answer?.Content ?? '{}') as { inputs?: { kmsKeyId?: unknown } };
    return typeof inputs.kmsKeyId === 'string' && inputs.kmsKeyId !== '' ? inputs.kmsKeyId : undefined;
  } catch (error) {
    const isHidden = error instanceof SyntaxError || (error instanceof CloudtunError && error.code === 'CT_DENIED');
    if (isHidden) return undefined;
    throw error;
  }
}
