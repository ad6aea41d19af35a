import { type GcpApi, path } from '../gcp-api.ts';
import type { ApiCall } from '../gcp-errors.ts';

/** Where bindings of ours may have been left that no machine of today leads to. */

/** The service accounts of a project, by address. @throws CT_DENIED, CT_API_DISABLED … */
export async function listAccounts(api: GcpApi, project: string, signal: AbortSignal): Promise<readonly string[]> {
  const call: ApiCall = {
    permission: 'iam.serviceAccounts.list',
    resource: `projects/${project}`,
    doing: `list the service accounts of ${project}`,
    role: 'roles/iam.serviceAccountUser',
  };
  interface Page {
    readonly nextPageToken?: string;
    readonly accounts?: readonly { readonly email?: string }[];
  }
  const request = {
    service: 'iam' as const,
    path: path`/v1/projects/${project}/serviceAccounts`,
    query: { pageSize: '100' },
  };
  const pages = await api.pages<Page>(request, call, signal);
  return pages.flatMap(({ accounts }) => accounts ?? []).flatMap(({ email }) => email ?? []);
}

/**
 * The secrets of a project, as `projects/P/secrets/S` with the project's id: the API says its number.
 *
 * @throws CT_DENIED, CT_API_DISABLED …
 */
export async function listSecrets(api: GcpApi, project: string, signal: AbortSignal): Promise<readonly string[]> {
  const call: ApiCall = {
    permission: 'secretmanager.secrets.list',
    resource: `projects/${project}`,
    doing: `list the secrets of ${project}`,
    role: 'roles/secretmanager.viewer',
  };
  interface Page {
    readonly nextPageToken?: string;
    readonly secrets?: readonly { readonly name?: string }[];
  }
  const request = {
    service: 'secretmanager' as const,
    path: path`/v1/projects/${project}/secrets`,
    query: { pageSize: '1000' },
  };
  const pages = await api.pages<Page>(request, call, signal);
  return pages
    .flatMap(({ secrets }) => secrets ?? [])
    .flatMap(({ name }) => (name === undefined ? [] : [`projects/${project}/secrets/${name.split('/').at(-1)}`]));
}
