import type { Millis } from '../../../domain/millis.ts';
import type { Inventory } from '../inventory.ts';
import type { KeyRing } from '../principals.ts';
import { checkRdsToken } from '../rds-token.ts';
import type { IamGate } from './iam-gate.ts';

/**
 * The database user that a token of RDS lets in: one for this endpoint and region, of a database that wants tokens, signed by somebody
 * who may `rds-db:connect` as that user. Undefined: nobody; the database does not say why, and neither does CloudTrail.
 *
 * @param now wall clock
 */
export function databaseLogin(
  parts: { readonly inventory: Inventory; readonly keys: KeyRing; readonly iam: IamGate; readonly now: Millis },
  token: string,
): string | undefined {
  const { inventory, keys, iam, now } = parts;
  const login = checkRdsToken(token, (id) => keys.find(id), now);
  if (login === undefined) return undefined;
  const database = inventory.databases.find(({ host, port }) => host === login.host && port === login.port);
  const key = keys.find(login.accessKeyId);
  if (!database?.iamAuth || key === undefined || login.region !== inventory.region) return undefined;
  // Members of a cluster are known by the cluster's id.
  const cluster = inventory.clusters.find(({ id }) => id === database.clusterId);
  const { region } = login;
  const id = cluster?.resourceId ?? database.resourceId;
  const arn = `arn:aws:rds-db:${region}:${inventory.account}:dbuser:${id}/${login.user}`;
  const refusal = iam.refuse({ key, region, action: 'rds-db:connect', resources: [{ arn }] });
  return refusal === undefined ? login.user : undefined;
}
