import type { ErrorCode } from '../../domain/error-catalogue.ts';
import { asCloudtunError, CloudtunError, type CloudtunErrorOptions, type ErrorDetail } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { asNetworkError } from '../../runtime/network-errors.ts';
import type { Identity } from '../provider.ts';

/** What was asked of AWS: the missing permission of a denial is told from this, never parsed from the words of an answer. */
export interface ApiCall {
  /** `ssm:StartSession` */
  readonly action: string;
  /** `instance/i-0abc and document/AWS-StartPortForwardingSession`; absent for calls that know no resource. */
  readonly resource?: string;
  /** As in "alice may not …": `start a session on bastion-a`. */
  readonly doing: string;
}

export interface ErrorContext {
  readonly call: ApiCall;
  /** The host that was called, as far as it is known. */
  readonly host: string;
  /** `cloudtun login`, with the profile if one was named. */
  readonly login: string;
  /** Who we are, if that could be found out. */
  readonly identity?: Identity | undefined;
}

/** Error codes of the JSON, query and EC2 protocols side by side: services spell the same trouble differently. */
const CODES: Readonly<Partial<Record<ErrorCode, readonly string[]>>> = {
  CT_DENIED: [
    'AccessDenied',
    'AccessDeniedException',
    'UnauthorizedOperation',
    'AuthException',
    'AuthorizationError',
    'OptInRequired',
  ],
  CT_CREDENTIALS_EXPIRED: [
    'ExpiredToken',
    'ExpiredTokenException',
    'RequestExpired',
    'TokenRefreshRequired',
    // Identity Center's portal: the sign-in behind the profile was revoked or ran out.
    'UnauthorizedException',
  ],
  CT_CREDENTIALS_INVALID: [
    'AuthFailure',
    'IncompleteSignature',
    'IncompleteSignatureException',
    'InvalidAccessKeyId',
    'InvalidClientTokenId',
    'InvalidSignatureException',
    'MissingAuthenticationToken',
    'MissingAuthenticationTokenException',
    'RequestInTheFuture',
    'RequestTimeTooSkewed',
    'SignatureDoesNotMatch',
    'UnrecognizedClientException',
  ],
  CT_THROTTLED: [
    'BandwidthLimitExceeded',
    'EC2ThrottledException',
    'PriorRequestNotComplete',
    'RequestLimitExceeded',
    'RequestThrottled',
    'RequestThrottledException',
    'SlowDown',
    'ThrottledException',
    'Throttling',
    'ThrottlingException',
    'TooManyRequestsException',
  ],
  CT_TARGET_OFFLINE: ['TargetNotConnected'],
  CT_DOCUMENT_INVALID: ['InvalidDocument', 'InvalidDocumentContent', 'InvalidDocumentVersion', 'InvalidParameters'],
};

const CODE_OF: ReadonlyMap<string, ErrorCode> = new Map(
  Object.entries(CODES).flatMap(([code, names]) => names.map((name) => [name, code as ErrorCode] as const)),
);

interface AnswerShape {
  readonly name: string;
  readonly status: number | undefined;
  /** False when the answer was in no form that AWS uses: a sign-in page of a hotel, a proxy's own error page. */
  readonly isOfAws: boolean;
  /** From the header Retry-After, where it is a number of seconds. */
  readonly retryAfter: Millis | undefined;
}

/** The error code and HTTP status of an answer of AWS; undefined for anything else that was thrown. */
function answerOf(thrown: unknown): AnswerShape | undefined {
  if (!(thrown instanceof Error) || !('$metadata' in thrown)) return undefined;
  const metadata = thrown.$metadata as { httpStatusCode?: number } | undefined;
  const code = 'Code' in thrown && typeof thrown.Code === 'string' ? thrown.Code : thrown.name;
  return {
    name: code,
    status: metadata?.httpStatusCode,
    isOfAws: '$fault' in thrown,
    retryAfter: retryAfterOf(thrown),
  };
}

function retryAfterOf(thrown: Error): Millis | undefined {
  const response = '$response' in thrown ? (thrown.$response as { headers?: Record<string, unknown> }) : undefined;
  const header = response?.headers?.['retry-after'];
  return typeof header === 'string' && /^\d{1,6}$/.test(header) ? Number(header) * 1_000 : undefined;
}

/** The code AWS gave (`DoesNotExistException`), for callers that expect one; undefined when it was no answer of AWS. */
export function awsErrorName(thrown: unknown): string | undefined {
  const source = thrown instanceof CloudtunError ? thrown.cause : thrown;
  return answerOf(source)?.name;
}

/** Whatever a call threw, as the CloudtunError to show. By code, never by words. */
export function awsError(thrown: unknown, context: ErrorContext): CloudtunError {
  if (thrown instanceof CloudtunError) return thrown;
  const answer = answerOf(thrown);
  // A broken connection also carries $metadata (the number of attempts), but no status.
  if (answer?.status === undefined) {
    const network = asNetworkError(thrown, context.host);
    if (network !== undefined) return network;
    if (thrown instanceof Error && thrown.name === 'TimeoutError') {
      return new CloudtunError('CT_NETWORK', `${context.host} did not answer in time`, {
        hint: 'check the network, and HTTPS_PROXY and NO_PROXY if you are behind a proxy',
        cause: thrown,
      });
    }
    return asCloudtunError(thrown);
  }
  if (answer.status === 407) {
    return new CloudtunError('CT_PROXY', `the proxy wants a user name and password for ${context.host} (HTTP 407)`, {
      hint: 'write them into the proxy address: http://user:password@host:port',
      cause: thrown,
    });
  }
  if (!answer.isOfAws) {
    const sentence = `${context.host} gave an answer that is not one of AWS (HTTP ${answer.status}); could not ${context.call.doing}`;
    return new CloudtunError('CT_SERVICE', sentence, {
      hint: 'something in between may answer instead: a sign-in page of the network, or a proxy',
      cause: thrown,
    });
  }
  const code = CODE_OF.get(answer.name) ?? (answer.status === 429 ? 'CT_THROTTLED' : 'CT_SERVICE');
  const { sentence, ...options } = wording(code, answer, context);
  return new CloudtunError(code, sentence, { ...options, cause: thrown });
}

type Wording = CloudtunErrorOptions & { readonly sentence: string };

function wording(code: ErrorCode, answer: AnswerShape, { call, login, identity }: ErrorContext): Wording {
  switch (code) {
    case 'CT_DENIED':
      return {
        sentence: `${identity?.name ?? 'this identity'} may not ${call.doing}`,
        details: denialDetails(call, identity),
        hint: 'ask who runs the account for this permission, or choose another identity with --profile',
      };
    case 'CT_CREDENTIALS_EXPIRED':
      return { sentence: `the credentials have expired; could not ${call.doing}`, hint: `sign in again: ${login}` };
    case 'CT_CREDENTIALS_INVALID':
      return {
        sentence: `AWS does not accept these credentials (${answer.name}); could not ${call.doing}`,
        hint: [`sign in again, or choose others with --profile: ${login}`, 'a wrong system clock has the same effect'],
      };
    case 'CT_THROTTLED':
      return {
        sentence: `AWS asked to slow down and went on asking; could not ${call.doing}`,
        hint: 'wait a minute and try again',
        retryAfter: answer.retryAfter,
      };
    case 'CT_TARGET_OFFLINE':
      return {
        sentence: `could not ${call.doing}: Session Manager has no connection to its agent`,
        hint: 'check that the machine runs, that its agent does, and that it is in this region and account: cloudtun targets',
      };
    case 'CT_DOCUMENT_INVALID':
      return {
        sentence: `could not ${call.doing}: the Session document does not exist here or does not fit (${answer.name})`,
        hint: 'check the name given with --document, and that it is a document for port sessions',
      };
    default:
      return {
        sentence: `AWS answered ${answer.name}${answer.status === undefined ? '' : ` (${answer.status})`}; could not ${call.doing}`,
        hint: 'try again; if it stays, look at the health of the AWS region',
      };
  }
}

function denialDetails(call: ApiCall, identity: Identity | undefined): ErrorDetail[] {
  const missing = call.resource === undefined ? call.action : `${call.action} on ${call.resource}`;
  return [
    ...(identity === undefined ? [] : [['identity', `${identity.id} (${identity.source})`] as const]),
    ['missing', missing],
  ];
}
