/** The vendors' programs that a run may use: two are named by variables, the others are taken from PATH. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export type PeerName = 'aws' | 'plugin' | 'mariadb' | 'psql' | 'gcloud';

export const PEER_SOURCES: Readonly<Record<PeerName, string>> = {
  aws: 'INTEROP_AWS (path of the AWS CLI)',
  plugin: 'INTEROP_PLUGIN (path of session-manager-plugin, 1.2.835 or older)',
  mariadb: 'mariadb on PATH',
  psql: 'psql on PATH',
  gcloud: 'gcloud on PATH',
};

export type Peers = Readonly<Partial<Record<PeerName, string>>>;

/** @throws Error that names the variable whose path leads to no program */
export function findPeers(env: NodeJS.ProcessEnv): Peers {
  const named = (variable: string) => {
    const path = env[variable];
    if (path === undefined || path === '') return undefined;
    if (!isExecutable(path)) throw new Error(`${variable} names ${path}, which is no program`);
    return path;
  };
  const onPath = (name: string) =>
    (env.PATH ?? '')
      .split(delimiter)
      .map((folder) => join(folder, name))
      .find(isExecutable);
  const found = {
    aws: named('INTEROP_AWS'),
    plugin: named('INTEROP_PLUGIN'),
    mariadb: onPath('mariadb'),
    psql: onPath('psql'),
    gcloud: onPath('gcloud'),
  };
  return Object.fromEntries(Object.entries(found).filter(([, path]) => path !== undefined));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
