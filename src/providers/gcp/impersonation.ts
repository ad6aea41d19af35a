import { CloudtunError } from '../../domain/errors.ts';
import { Secret } from '../../domain/secret.ts';
import { parseIsoTime } from '../../runtime/iso-time.ts';
import { gcpError } from './gcp-errors.ts';
import { sendPatiently } from './patience.ts';
import { type MintContext, SCOPE, type TokenMint } from './token-clients.ts';

const LIFETIME = '3600s';

/**
 * Tokens of a service account that the credential below may act as (iamcredentials `generateAccessToken`).
 *
 * @param chain service accounts, the target last; each one before it is a delegate
 */
export function impersonating(base: TokenMint, chain: readonly string[], context: MintContext): TokenMint {
  const target = chain.at(-1)!;
  const delegates = chain.slice(0, -1).map((email) => `projects/-/serviceAccounts/${email}`);
  const { world, http, endpoints } = context;
  const source = `impersonating ${[...chain].reverse().join(' via ')} via ${base.source}`;
  return {
    source,
    principal: target,
    project: projectOf(target) ?? base.project,
    quotaProject: base.quotaProject,
    async mint(signal) {
      const below = await base.mint(signal);
      const url = endpoints.url(
        'iamcredentials',
        `/v1/projects/-/serviceAccounts/${encodeURIComponent(target)}:generateAccessToken`,
      );
      const request = {
        method: 'POST',
        url,
        headers: { authorization: `Bearer ${below.token.reveal()}`, 'content-type': 'application/json' },
        body: JSON.stringify({ scope: [SCOPE], lifetime: LIFETIME, delegates }),
      };
      const answer = await sendPatiently(world, http, request, {}, signal);
      if (answer.status !== 200) {
        const principal = below.email ?? base.principal;
        throw gcpError(answer, {
          call: {
            permission: 'iam.serviceAccounts.getAccessToken',
            resource: [...chain].join(', '),
            doing: `act as ${target}`,
            role: 'roles/iam.serviceAccountTokenCreator',
          },
          service: 'iamcredentials',
          endpoints,
          ...(principal === undefined ? {} : { identity: { id: principal, source: base.source } }),
        });
      }
      const body = JSON.parse(answer.body) as { accessToken?: string; expireTime?: string };
      if (!body.accessToken) {
        throw new CloudtunError('CT_SERVICE', `${url.host} answered without an access token`, { hint: 'try again' });
      }
      return { token: new Secret(body.accessToken), expiresAt: parseIsoTime(body.expireTime ?? ''), email: target };
    },
  };
}

/** `deployer@acme.iam.gserviceaccount.com` → acme */
const projectOf = (email: string) => /@([a-z0-9.-]+)\.iam\.gserviceaccount\.com$/.exec(email)?.[1];
