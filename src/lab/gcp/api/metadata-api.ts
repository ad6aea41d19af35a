/** The metadata server of a VM, for credentials of a machine: `GCE_METADATA_HOST` leads here. */
import type { HttpAnswer } from '../../http.ts';
import { CLOUD_PLATFORM } from '../token-store.ts';
import type { GcpApiContext } from './operation.ts';

export interface MetadataOptions {
  /** The VM's service account. */
  readonly account: string;
  readonly projectId: string;
}

const PREFIX = '/computeMetadata/v1';

/** Answers below `/computeMetadata` and the probe of `/`; undefined: not its path. */
export function answerMetadata(
  { inventory, tokens, world }: GcpApiContext,
  { account, projectId }: MetadataOptions,
  path: string,
  query: URLSearchParams,
  flavour: string | string[] | undefined,
): HttpAnswer | undefined {
  if (path === '/') return text('computeMetadata/\n');
  if (!path.startsWith('/computeMetadata')) return undefined;
  if (flavour !== 'Google') return text('Missing Metadata-Flavor:Google header.', 403);
  const project = inventory().projects.find(({ id }) => id === projectId);
  const zone = inventory().zones[0] ?? '';
  const answers: Readonly<Record<string, () => string | object>> = {
    '': () => 'instance/\noslogin/\nproject/\n',
    '/project/project-id': () => projectId,
    '/project/numeric-project-id': () => project?.number ?? '',
    '/instance/zone': () => `projects/${project?.number ?? ''}/zones/${zone}`,
    '/instance/id': () => '4100000000000000000',
    '/instance/service-accounts': () => `default/\n${account}/\n`,
    '/instance/service-accounts/default': () => ({ aliases: ['default'], email: account, scopes: [CLOUD_PLATFORM] }),
    '/instance/service-accounts/default/email': () => account,
    '/instance/service-accounts/default/scopes': () => `${CLOUD_PLATFORM}\n`,
    '/instance/service-accounts/default/token': () => {
      const scopes = query.get('scopes')?.split(',') ?? [CLOUD_PLATFORM];
      const grant = tokens.issue(account, scopes);
      const seconds = Math.floor((grant.expiresAt - world.clock.wall()) / 1_000);
      return { access_token: grant.token, expires_in: seconds, token_type: 'Bearer' };
    },
    '/universe/universe-domain': () => 'googleapis.com',
  };
  const wanted = path
    .slice(PREFIX.length)
    .replace(/\/$/, '')
    .replace(`/service-accounts/${account}`, '/service-accounts/default');
  const answer = answers[wanted]?.();
  if (answer === undefined) return text('Not Found', 404);
  if (typeof answer === 'string') return text(answer);
  return { ...text(JSON.stringify(answer)), contentType: 'application/json' };
}

const text = (body: string, status = 200): HttpAnswer => ({
  status,
  contentType: 'application/text',
  headers: { 'metadata-flavor': 'Google', server: 'Metadata Server for VM' },
  body,
});
