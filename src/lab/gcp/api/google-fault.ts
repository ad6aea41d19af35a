/** Errors of Google's REST APIs as they go over the wire: `code`, `status`, `errors[].reason` and the `ErrorInfo` that clients match on. */

export interface GoogleFaultFields {
  readonly code: number;
  /** `NOT_FOUND` */
  readonly status: string;
  /** `notFound`, of the older APIs. */
  readonly reason: string;
  readonly message: string;
  /** `google.rpc.ErrorInfo` */
  readonly info?: { readonly reason: string; readonly metadata: Readonly<Record<string, string>> };
}

export class GoogleFault extends Error {
  override readonly name = 'GoogleFault';
  readonly fields: GoogleFaultFields;

  constructor(fields: GoogleFaultFields) {
    super(fields.message);
    this.fields = fields;
  }

  toBody(): object {
    const { code, status, reason, message, info } = this.fields;
    const details =
      info === undefined
        ? {}
        : {
            details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', domain: 'googleapis.com', ...info }],
          };
    return { error: { code, message, errors: [{ message, domain: 'global', reason }], status, ...details } };
  }
}

/** An error of the OAuth endpoints, which have another shape: RFC 6749, 5.2. */
export class OAuthFault extends Error {
  override readonly name = 'OAuthFault';
  readonly httpStatus: number;
  readonly error: string;
  readonly subtype: string | undefined;

  constructor(error: string, description: string, httpStatus = 400, subtype?: string) {
    super(description);
    this.error = error;
    this.httpStatus = httpStatus;
    this.subtype = subtype;
  }

  toBody(): object {
    const subtype = this.subtype === undefined ? {} : { error_subtype: this.subtype };
    return { error: this.error, error_description: this.message, ...subtype };
  }
}

const CREDENTIALS_WANTED =
  'Expected OAuth 2 access token, login cookie or other valid authentication credential. ' +
  'See https://developers.google.com/identity/sign-in/web/devconsole-project.';

export const faults = {
  unauthenticated: (why: 'missing' | 'invalid' | 'expired', method: string) =>
    new GoogleFault({
      code: 401,
      status: 'UNAUTHENTICATED',
      reason: why === 'missing' ? 'required' : 'authError',
      message:
        why === 'missing'
          ? `Request is missing required authentication credential. ${CREDENTIALS_WANTED}`
          : `Request had invalid authentication credentials. ${CREDENTIALS_WANTED}`,
      info: {
        reason:
          why === 'missing'
            ? 'CREDENTIALS_MISSING'
            : why === 'expired'
              ? 'ACCESS_TOKEN_EXPIRED'
              : 'ACCESS_TOKEN_TYPE_UNSUPPORTED',
        metadata: { method },
      },
    }),
  scope: (method: string) =>
    new GoogleFault({
      code: 403,
      status: 'PERMISSION_DENIED',
      reason: 'insufficientPermissions',
      message: 'Request had insufficient authentication scopes.',
      info: { reason: 'ACCESS_TOKEN_SCOPE_INSUFFICIENT', metadata: { method } },
    }),
  denied: (permission: string, resource: string) =>
    new GoogleFault({
      code: 403,
      status: 'PERMISSION_DENIED',
      reason: 'forbidden',
      message: `Required '${permission}' permission for '${resource}'`,
      info: { reason: 'IAM_PERMISSION_DENIED', metadata: { permission, resource } },
    }),
  serviceDisabled: (service: string, title: string, projectNumber: string) =>
    new GoogleFault({
      code: 403,
      status: 'PERMISSION_DENIED',
      reason: 'accessNotConfigured',
      message:
        `${title} has not been used in project ${projectNumber} before or it is disabled. Enable it by visiting ` +
        `https://console.developers.google.com/apis/api/${service}/overview?project=${projectNumber} then retry. ` +
        'If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry.',
      info: {
        reason: 'SERVICE_DISABLED',
        metadata: { service, consumer: `projects/${projectNumber}`, containerInfo: projectNumber, serviceTitle: title },
      },
    }),
  notFound: (resource: string) =>
    new GoogleFault({
      code: 404,
      status: 'NOT_FOUND',
      reason: 'notFound',
      message: `The resource '${resource}' was not found`,
    }),
  invalid: (message: string) => new GoogleFault({ code: 400, status: 'INVALID_ARGUMENT', reason: 'invalid', message }),
  conflict: () =>
    new GoogleFault({
      code: 409,
      status: 'ABORTED',
      reason: 'aborted',
      message:
        'There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.',
    }),
  exists: (message: string) =>
    new GoogleFault({ code: 409, status: 'ALREADY_EXISTS', reason: 'alreadyExists', message }),
  throttled: (service: string) =>
    new GoogleFault({
      code: 429,
      status: 'RESOURCE_EXHAUSTED',
      reason: 'rateLimitExceeded',
      message: `Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service '${service}'.`,
      info: { reason: 'RATE_LIMIT_EXCEEDED', metadata: { service, quota_limit: 'QueriesPerMinutePerProject' } },
    }),
  internal: () =>
    new GoogleFault({ code: 500, status: 'INTERNAL', reason: 'backendError', message: 'Internal error encountered.' }),
  unavailable: () =>
    new GoogleFault({
      code: 503,
      status: 'UNAVAILABLE',
      reason: 'backendError',
      message: 'The service is currently unavailable.',
    }),
} as const;
