import { CloudtunError, type CloudtunErrorOptions, type ErrorDetail } from '../../domain/errors.ts';
import type { Identity } from '../provider.ts';
import type { Endpoints, GcpService } from './endpoints.ts';
import type { HttpAnswer } from './http-sender.ts';

/** What was asked of Google: the missing permission of a denial is told from this, never parsed from the words of an answer. */
export interface ApiCall {
  /** `compute.instances.list` */
  readonly permission: string;
  /** `project acme` */
  readonly resource: string;
  /** As in "alice may not …": `list the instances of acme`. */
  readonly doing: string;
  /** A role that has the permission. */
  readonly role?: string;
}

export interface ErrorContext {
  readonly call: ApiCall;
  readonly service: GcpService;
  readonly endpoints: Endpoints;
  readonly identity?: Pick<Identity, 'id' | 'source'> | undefined;
}

/** A refusal of a Google API as it came, for callers that expect one: the cause of the CloudtunError made of it. */
export class GcpAnswerError extends Error {
  override readonly name = 'GcpAnswerError';
  readonly status: number;
  /** `error.details[].reason` and `error.errors[].reason`. */
  readonly reasons: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Did Google write it, or something in between? */
  readonly isOfGoogle: boolean;

  constructor(status: number, body: GoogleError | undefined) {
    super(`HTTP ${status}${body?.error?.status === undefined ? '' : ` ${body.error.status}`}`);
    const details = listOf(body?.error?.details);
    this.status = status;
    this.reasons = [...details, ...listOf(body?.error?.errors)].flatMap(({ reason }) =>
      typeof reason === 'string' ? [reason] : [],
    );
    this.metadata = Object.fromEntries(
      details.flatMap(({ metadata }) =>
        Object.entries(metadata ?? {}).map(([key, value]) => [key, String(value)] as const),
      ),
    );
    this.isOfGoogle = body?.error !== undefined;
  }

  has(...reasons: string[]): boolean {
    return this.reasons.some((reason) => reasons.includes(reason));
  }
}

interface Detail {
  readonly reason?: unknown;
  readonly metadata?: Readonly<Record<string, unknown>>;
}
interface GoogleError {
  readonly error?: { readonly status?: string; readonly details?: unknown; readonly errors?: unknown };
}

const listOf = (value: unknown): readonly Detail[] =>
  Array.isArray(value) ? value.filter((each) => typeof each === 'object' && each !== null) : [];

/** Quotas are told by 429, and by the older services with 403 and a reason. */
const THROTTLED = [
  'rateLimitExceeded',
  'userRateLimitExceeded',
  'quotaExceeded',
  'RATE_LIMIT_EXCEEDED',
  'dailyLimitExceeded',
];
const DISABLED = ['SERVICE_DISABLED', 'accessNotConfigured'];
const PERIMETER = ['SECURITY_POLICY_VIOLATED', 'vpcServiceControls', 'VPC_SERVICE_CONTROLS'];
const ORG_POLICY = ['ORG_POLICY', 'ORG_RESTRICTION_VIOLATION', 'CUSTOM_ORG_POLICY_VIOLATION'];
const NO_SCOPE = ['ACCESS_TOKEN_SCOPE_INSUFFICIENT', 'insufficientPermissions', 'insufficientScopes'];
const BAD_PROJECT = ['CONSUMER_INVALID', 'CONSUMER_SUSPENDED', 'BILLING_DISABLED', 'billingNotEnabled'];

/** What was refused, read from an answer. */
export function answerError({ status, body }: HttpAnswer): GcpAnswerError {
  try {
    const parsed: unknown = JSON.parse(body);
    const isError = typeof parsed === 'object' && parsed !== null && typeof Reflect.get(parsed, 'error') === 'object';
    return new GcpAnswerError(status, isError ? (parsed as GoogleError) : undefined);
  } catch {
    return new GcpAnswerError(status, undefined);
  }
}

/** The refusal behind an error, if there is one. */
export const refusalBehind = (thrown: unknown): GcpAnswerError | undefined =>
  thrown instanceof CloudtunError && thrown.cause instanceof GcpAnswerError ? thrown.cause : undefined;

/** Refused for good: what another project or API may still answer. */
export const isDenial = (thrown: unknown): boolean =>
  thrown instanceof CloudtunError && (thrown.code === 'CT_DENIED' || thrown.code === 'CT_API_DISABLED');

export const isThrottling = (answer: HttpAnswer): boolean =>
  answer.status === 403 && answerError(answer).has(...THROTTLED);

/** An answer that is no success, as the CloudtunError to show: by status and reason, never by words. */
export function gcpError(answer: HttpAnswer, context: ErrorContext): CloudtunError {
  const refusal = answerError(answer);
  const failure = (code: CloudtunError['code'], sentence: string, options: CloudtunErrorOptions) =>
    new CloudtunError(code, sentence, { cause: refusal, ...options });
  const { call } = context;
  const api = context.endpoints.apiName(context.service);

  if (refusal.status === 407) {
    return failure('CT_PROXY', `the proxy wants a user name and password for ${api} (HTTP 407)`, {
      hint: 'write them into the proxy address: http://user:password@host:port',
    });
  }
  if (refusal.status === 429 || refusal.has(...THROTTLED)) {
    return failure('CT_THROTTLED', `Google asked to slow down and went on asking; could not ${call.doing}`, {
      hint: 'wait a minute and try again',
    });
  }
  if (refusal.status >= 500) {
    return failure('CT_SERVICE', `${api} answered ${refusal.status}; could not ${call.doing}`, {
      hint: 'try again; if it stays, look at the health of Google Cloud',
    });
  }
  if (!refusal.isOfGoogle) {
    return failure(
      refusal.status === 403 ? 'CT_PROXY' : 'CT_SERVICE',
      `something between here and ${api} answered HTTP ${refusal.status}; could not ${call.doing}`,
      { hint: 'it is no answer of Google: a proxy that does not allow the host, or a sign-in page of the network' },
    );
  }
  if (refusal.status === 401) {
    return failure('CT_CREDENTIALS_INVALID', `Google does not accept the access token; could not ${call.doing}`, {
      details: identityDetails(context),
      hint: 'sign in again: gcloud auth application-default login',
    });
  }
  if (refusal.status === 403) return failure(...forbidden(refusal, context, api));
  if (refusal.status === 404) {
    return failure('CT_TARGET_NOT_FOUND', `could not ${call.doing}: there is no ${call.resource}`, {
      hint: 'check the names of project, zone and target; see all: cloudtun targets',
    });
  }
  return failure('CT_SERVICE', `${api} answered ${reasonText(refusal)}; could not ${call.doing}`, {
    hint: 'try again; if it stays, report it with the output of the same command and -v',
  });
}

const reasonText = (refusal: GcpAnswerError) => [refusal.message, ...refusal.reasons].join(', ');

const identityDetails = ({ identity }: ErrorContext): readonly ErrorDetail[] =>
  identity === undefined ? [] : [['identity', `${identity.id} (${identity.source})`]];

function forbidden(
  refusal: GcpAnswerError,
  context: ErrorContext,
  api: string,
): [code: CloudtunError['code'], sentence: string, options: CloudtunErrorOptions] {
  const { call } = context;
  const who = context.identity?.id ?? 'this identity';
  const identity = identityDetails(context);
  if (refusal.has(...DISABLED)) {
    const project = (refusal.metadata.consumer ?? '').replace(/^projects\//, '');
    const service = refusal.metadata.service ?? api;
    const where = project === '' ? '' : ` --project=${project}`;
    return [
      'CT_API_DISABLED',
      `${service} is not enabled in ${project === '' ? 'the project' : `project ${project}`}; could not ${call.doing}`,
      { hint: [`enable it: gcloud services enable ${service}${where}`, 'it takes a minute or two to work everywhere'] },
    ];
  }
  const perimeter = refusal.metadata.vpcServiceControlsUniqueIdentifier;
  if (perimeter !== undefined || refusal.has(...PERIMETER)) {
    return [
      'CT_DENIED',
      `a service perimeter (VPC Service Controls) forbids ${who} to ${call.doing}`,
      {
        details: [...identity, ...(perimeter === undefined ? [] : [['violation', perimeter] as const])],
        hint: 'give the violation id to an administrator; from another network or device it may be allowed',
      },
    ];
  }
  if (refusal.has(...ORG_POLICY)) {
    return [
      'CT_DENIED',
      `the organisation's policy forbids ${who} to ${call.doing}`,
      { details: identity, hint: 'ask who runs the organisation' },
    ];
  }
  if (refusal.has('USER_PROJECT_DENIED')) {
    const project = (refusal.metadata.consumer ?? '').replace(/^projects\//, '');
    return [
      'CT_DENIED',
      `${who} may not use project ${project || '?'} for quota; could not ${call.doing}`,
      {
        details: [...identity, ['missing', `serviceusage.services.use on project ${project || '?'}`]],
        hint: 'choose another one: gcloud auth application-default set-quota-project PROJECT, or GOOGLE_CLOUD_QUOTA_PROJECT',
      },
    ];
  }
  if (refusal.has(...NO_SCOPE) && refusal.has('ACCESS_TOKEN_SCOPE_INSUFFICIENT', 'insufficientScopes')) {
    return [
      'CT_DENIED',
      `the access token has not the scope cloud-platform; could not ${call.doing}`,
      { details: identity, hint: 'sign in again: gcloud auth application-default login' },
    ];
  }
  if (refusal.has(...BAD_PROJECT)) {
    return [
      'CT_DENIED',
      `the project does not exist, is suspended or has no billing; could not ${call.doing}`,
      { details: [...identity, ['resource', call.resource]], hint: 'check the project id: --project' },
    ];
  }
  const role = call.role === undefined ? '' : ` (${call.role} has it)`;
  return [
    'CT_DENIED',
    `${who} may not ${call.doing}`,
    {
      details: [...identity, ['missing', `${call.permission} on ${call.resource}`]],
      hint: `ask who runs the project for this permission${role}, or sign in as somebody else`,
    },
  ];
}
