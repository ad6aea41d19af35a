import type { GcpApiContext, GcpOperation } from './operation.ts';
import { pageOf } from './page.ts';

/** The service accounts of a project (IAM API, v1): those that machines run as, and those among the people. */
export function serviceAccountsApi(context: GcpApiContext): readonly GcpOperation[] {
  return [
    {
      method: 'GET',
      path: /^\/iam\/v1\/projects\/(?<project>[^/]+)\/serviceAccounts$/,
      action: 'iam.serviceAccounts.list',
      service: 'iam.googleapis.com',
      needs: ({ project }) => ({ permission: 'iam.serviceAccounts.list', resource: `projects/${project}` }),
      run: ({ project: { id }, query }) => {
        const { instances, people } = context.inventory();
        const emails = new Set([
          ...instances.flatMap(({ serviceAccount }) => serviceAccount ?? []),
          ...people.map(({ email }) => email),
        ]);
        const all = [...emails]
          .filter((email) => email.endsWith(`@${id}.iam.gserviceaccount.com`))
          .map((email) => ({ name: `projects/${id}/serviceAccounts/${email}`, projectId: id, email }));
        const { items, nextPageToken } = pageOf(all, query, context.pageLimit);
        return {
          ...(items.length === 0 ? {} : { accounts: items }),
          ...(nextPageToken === undefined ? {} : { nextPageToken }),
        };
      },
    },
  ];
}
