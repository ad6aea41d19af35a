import type { AwsApi } from '../aws-api.ts';
import { allPages } from './pages.ts';

/** Where Identity Center keeps the roles that permission sets become in an account. */
const PATH = '/aws-reserved/sso.amazonaws.com/';

/** `AWSReservedSSO_readers_0a1b2c3d4e5f6071` → readers; undefined for any other role. */
export const setOfRole = (role: string) => /^AWSReservedSSO_(.+)_[0-9a-f]{16}$/.exec(role)?.[1];

/** The roles of this account that permission sets were provisioned to, by the set's name. */
export async function ssoRoles(
  api: AwsApi,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, { readonly name: string; readonly arn: string }>> {
  const call = { action: 'iam:ListRoles', doing: 'look for the roles of permission sets' };
  const roles = await api.iam(call, signal, (sdk, client, options) =>
    allPages(async (marker) => {
      const answer = await client.send(
        new sdk.ListRolesCommand({ PathPrefix: PATH, ...(marker !== undefined && { Marker: marker }) }),
        options,
      );
      return { items: answer.Roles, next: answer.Marker };
    }),
  );
  return new Map(
    roles.flatMap(({ RoleName: name = '', Arn: arn = '' }) => {
      const set = setOfRole(name);
      return set === undefined ? [] : [[set, { name, arn }] as const];
    }),
  );
}
