import type { ErrorCode } from '../../../domain/error-catalogue.ts';
import { CloudtunError } from '../../../domain/errors.ts';
import { awsErrorName } from '../aws-errors.ts';

/** What IAM, Systems Manager and Identity Center say of permissions that they do not take. */
const REFUSED = [
  'DocumentLimitExceeded',
  'DocumentVersionLimitExceeded',
  'InvalidDocumentContent',
  'InvalidDocumentSchemaVersion',
  'InvalidInput',
  'LimitExceeded',
  'LimitExceededException',
  'MalformedPolicyDocument',
  'MalformedPolicyDocumentException',
  'MaxDocumentSizeExceeded',
  'PolicyNotAttachable',
  'ServiceQuotaExceededException',
  'UnmodifiableEntity',
  'ValidationError',
  'ValidationException',
];
/** … and of what is not as it was when it was looked at. */
const CHANGED = [
  'ConcurrentModification',
  'ConflictException',
  'DeleteConflict',
  'DocumentAlreadyExists',
  'DuplicateDocumentVersionName',
  'EntityAlreadyExists',
  'InvalidDocument',
  'InvalidDocumentOperation',
  'InvalidDocumentVersion',
  'NoSuchEntity',
  'ResourceNotFoundException',
];

/** Whether an error is one of these answers of AWS. */
export const isAnswer = (error: unknown, ...names: readonly string[]) => names.includes(awsErrorName(error) ?? '');

/** What reading gives, or undefined where the thing is not there. */
export async function unlessMissing<Result>(reading: Promise<Result>): Promise<Result | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isAnswer(error, 'NoSuchEntity', 'InvalidDocument', 'ResourceNotFoundException')) return undefined;
    throw error;
  }
}

/**
 * Makes a change, and tells a refusal of the cloud from anything else that may go wrong.
 *
 * @param what for people: `policy cloudtun-readers`
 * @throws CT_POLICY_REFUSED, CT_POLICY_CHANGED, and what the calls throw
 */
export async function changing<Result>(what: string, change: () => Promise<Result>): Promise<Result> {
  try {
    return await change();
  } catch (error) {
    if (isAnswer(error, ...REFUSED)) throw worded('CT_POLICY_REFUSED', `AWS does not take ${what}`, error);
    if (isAnswer(error, ...CHANGED)) throw changed(what, error);
    throw error;
  }
}

export const changed = (what: string, cause?: unknown) =>
  worded('CT_POLICY_CHANGED', `${what} is not what it was when it was looked at; it was left alone`, cause);

function worded(code: ErrorCode, message: string, cause: unknown): CloudtunError {
  const source = cause instanceof CloudtunError ? cause.cause : cause;
  return new CloudtunError(code, message, {
    ...(source instanceof Error && {
      details: [['AWS says', `${awsErrorName(cause) ?? source.name}: ${source.message}`]],
    }),
    hint: 'look again: cloudtun team plan',
    ...(cause !== undefined && { cause: source }),
  });
}
