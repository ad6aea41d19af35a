import { CloudtunError, type CloudtunErrorOptions } from '../../domain/errors.ts';
import type { HttpAnswer } from './http-sender.ts';

/** Subtypes of `invalid_grant`: the organisation's session control wants a person (docs/guides/google-cloud.md, "Credentials"). */
const REAUTHENTICATION = ['invalid_rapt', 'rapt_required'];
const UNKNOWN_CLIENT = ['invalid_client', 'unauthorized_client', 'deleted_client', 'invalid_target', 'invalid_request'];
const BY_POLICY = ['access_denied', 'admin_policy_enforced', 'org_internal'];

interface OauthRefusal {
  readonly error: string;
  readonly subtype: string | undefined;
}

/** The body of an OAuth error (RFC 6749, 5.2); undefined for any other. */
function refusalOf(body: string): OauthRefusal | undefined {
  try {
    const parsed = JSON.parse(body) as Record<string, unknown> | null;
    if (typeof parsed?.error !== 'string') return undefined;
    const subtype = parsed.error_subtype;
    return { error: parsed.error, subtype: typeof subtype === 'string' ? subtype : undefined };
  } catch {
    return undefined;
  }
}

/**
 * A refusal of a token endpoint, by its code. The answer itself is no cause of the error: it may echo what was sent.
 *
 * @param source how this identity is called for people: `service account key`
 */
export function tokenError(answer: HttpAnswer, host: string, source: string): CloudtunError {
  const refusal = refusalOf(answer.body);
  const failure = (code: CloudtunError['code'], sentence: string, options: CloudtunErrorOptions) =>
    new CloudtunError(code, sentence, { details: [['credentials', source]], ...options });

  if (answer.status === 407) {
    return failure('CT_PROXY', `the proxy wants a user name and password for ${host} (HTTP 407)`, {
      hint: 'write them into the proxy address: http://user:password@host:port',
    });
  }
  if (answer.status === 429) {
    return failure('CT_THROTTLED', `${host} asked to slow down and went on asking`, {
      hint: 'wait a minute and try again',
    });
  }
  if (answer.status >= 500) {
    return failure('CT_SERVICE', `${host} answered ${answer.status}; no access token`, { hint: 'try again' });
  }
  if (refusal === undefined) {
    return failure(
      'CT_PROXY',
      `${host} gave an answer that is not one of Google's (HTTP ${answer.status}); no access token`,
      {
        hint: 'something in between answers instead: a proxy that does not allow the host, or a sign-in page of the network',
      },
    );
  }
  if (refusal.error === 'invalid_grant' && REAUTHENTICATION.includes(refusal.subtype ?? '')) {
    return failure('CT_CREDENTIALS_EXPIRED', 'your organisation wants you to sign in again, in person', {
      hint: ['sign in again: gcloud auth application-default login', 'its session length is set by an administrator'],
    });
  }
  if (refusal.error === 'invalid_grant') return failure('CT_CREDENTIALS_EXPIRED', ...invalidGrant(source));
  if (BY_POLICY.includes(refusal.error)) {
    return failure('CT_DENIED', `Google gives no access token for these credentials (${refusal.error})`, {
      hint: "the organisation's policy forbids it; ask an administrator",
    });
  }
  const code = UNKNOWN_CLIENT.includes(refusal.error) ? 'CT_CREDENTIALS_INVALID' : 'CT_NO_CREDENTIALS';
  return failure(code, `Google does not accept these credentials (${refusal.error})`, {
    hint: 'make the credential file anew, or sign in with: gcloud auth application-default login',
  });
}

function invalidGrant(source: string): [sentence: string, options: CloudtunErrorOptions] {
  if (/service account/.test(source)) {
    return [
      'Google does not accept this service account key any more: it was deleted or disabled, or the clock here is wrong',
      { hint: 'make a new key, or better use impersonation or workload identity federation; check the clock' },
    ];
  }
  return ['the sign-in has expired or was revoked', { hint: 'sign in again: gcloud auth application-default login' }];
}
