import type { LabSecrets } from '../../lab-secrets.ts';
import { faults } from './google-fault.ts';
import type { GcpApiContext, GcpOperation } from './operation.ts';
import { pageOf } from './page.ts';

/** The part of the Secret Manager API (v1) that lists secrets and reads one. A secret has one version. */
export function secretManagerApi(secrets: LabSecrets, context: GcpApiContext): readonly GcpOperation[] {
  return [
    {
      method: 'GET',
      path: /^\/secretmanager\/v1\/projects\/(?<project>[^/]+)\/secrets$/,
      action: 'secretmanager.secrets.list',
      service: 'secretmanager.googleapis.com',
      needs: ({ project }) => ({ permission: 'secretmanager.secrets.list', resource: `projects/${project}` }),
      run: ({ project: { id, number }, query }) => {
        const own = `projects/${id}/secrets/`;
        const names = secrets.names().filter((name) => name.startsWith(own));
        // Answers have the number of the project.
        const all = names.map((name) => ({ name: `projects/${number}/secrets/${name.slice(own.length)}` }));
        const { items, nextPageToken } = pageOf(all, query, context.pageLimit);
        return {
          ...(items.length === 0 ? {} : { secrets: items }),
          totalSize: all.length,
          ...(nextPageToken === undefined ? {} : { nextPageToken }),
        };
      },
    },
    {
      method: 'GET',
      path: /^\/secretmanager\/v1\/projects\/(?<project>[^/]+)\/secrets\/(?<secret>[^/]+)\/versions\/(?<version>latest|1):access$/,
      action: 'secretmanager.versions.access',
      service: 'secretmanager.googleapis.com',
      needs: ({ project, secret, version }) => ({
        permission: 'secretmanager.versions.access',
        resource: `projects/${project}/secrets/${secret}/versions/${version}`,
      }),
      run: ({ path: { project, secret } }) => {
        const name = `projects/${project}/secrets/${secret}`;
        const text = secrets.get(name);
        if (text === undefined) throw faults.notFound(`${name}/versions/latest`);
        return { name: `${name}/versions/1`, payload: { data: Buffer.from(text).toString('base64') } };
      },
    },
  ];
}
