import { CloudtunError } from '../../domain/errors.ts';
import { nearestNames } from '../../domain/nearest.ts';
import type { DatabaseTarget } from '../../domain/target.ts';
import type { FindDatabaseOptions } from '../provider.ts';
import { type Database, getDatabase, listDatabases } from './databases.ts';
import type { GcpApi } from './gcp-api.ts';
import { isDenial, refusalBehind } from './gcp-errors.ts';
import { type DatabaseName, parseDatabaseName } from './target-name.ts';

/**
 * Resolves a Cloud SQL instance by name or connection name: one call for each project; only what that does not find makes us list.
 *
 * @throws CT_TARGET_NOT_FOUND, CT_TARGET_AMBIGUOUS, CT_TARGET_STOPPED, CT_USAGE, CT_NO_PROJECT, CT_DENIED …
 */
export async function findDatabase(
  api: GcpApi,
  text: string,
  options: FindDatabaseOptions,
  signal: AbortSignal,
): Promise<DatabaseTarget> {
  const wanted = parseDatabaseName(text);
  const projects = wanted.project === undefined ? await api.projects(signal) : [wanted.project];
  const found = (await inProjects(api, projects, wanted, signal)).filter(
    ({ region }) => wanted.region === undefined || region === wanted.region,
  );
  if (found.length === 0) throw await notFound(api, text, wanted, projects, signal);
  if (found.length > 1) {
    throw new CloudtunError('CT_TARGET_AMBIGUOUS', `${found.length} Cloud SQL instances are called "${text}"`, {
      details: found.map(({ target }) => [target.id, `${target.engineLabel}, ${target.status}`]),
      hint: 'use project:region:name instead',
    });
  }
  const chosen = options.reader ? await readReplica(api, found[0]!, signal) : found[0]!;
  requireAvailable(chosen.target);
  return chosen.target;
}

async function inProjects(
  api: GcpApi,
  projects: readonly string[],
  { name }: DatabaseName,
  signal: AbortSignal,
): Promise<Database[]> {
  const answers = await Promise.allSettled(projects.map((project) => getDatabase(api, project, name, signal)));
  signal.throwIfAborted();
  const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  const failures = answers
    .flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []))
    .filter((failure) => refusalBehind(failure)?.status !== 404);
  if (failures.length > 0 && found.length === 0) throw failures.find((failure) => !isDenial(failure)) ?? failures[0];
  return found;
}

function requireAvailable(target: DatabaseTarget): void {
  if (target.available) return;
  const isStopped = target.status === 'stopped';
  const [project = '', , name = ''] = target.id.split(/:(?=[^:]*:[^:]*$)|:(?=[^:]*$)/);
  throw new CloudtunError('CT_TARGET_STOPPED', `${target.id} is not available: its status is "${target.status}"`, {
    hint: [
      isStopped
        ? `start it: gcloud sql instances patch ${name} --activation-policy=ALWAYS --project=${project}`
        : 'wait until it is available',
      'see all: cloudtun targets --kind database',
    ],
  });
}

async function readReplica(api: GcpApi, { target, name, replicas }: Database, signal: AbortSignal): Promise<Database> {
  if (replicas.length === 0) {
    throw new CloudtunError('CT_TARGET_NOT_FOUND', `${name} has no read replica`, {
      hint: ['leave out --reader', 'see all: cloudtun targets --kind database'],
    });
  }
  if (replicas.length > 1) {
    throw new CloudtunError('CT_TARGET_AMBIGUOUS', `${name} has ${replicas.length} read replicas`, {
      details: replicas.map((replica) => ['replica', replica]),
      hint: 'name one of them instead of using --reader',
    });
  }
  const replica = await getDatabase(api, target.project ?? '', replicas[0]!, signal);
  return { ...replica, target: { ...replica.target, role: 'reader' } };
}

async function notFound(
  api: GcpApi,
  text: string,
  wanted: DatabaseName,
  projects: readonly string[],
  signal: AbortSignal,
): Promise<CloudtunError> {
  const answers = await Promise.all(
    projects.map((project) => listDatabases(api, project, signal).catch((): Database[] => [])),
  );
  signal.throwIfAborted();
  const databases = answers.flat();
  const elsewhere = databases.filter(({ name }) => name === wanted.name).map(({ target }) => target.id);
  const near = nearestNames(
    wanted.name,
    databases.map(({ name }) => name),
  );
  return new CloudtunError('CT_TARGET_NOT_FOUND', `no Cloud SQL instance named "${text}" in ${projects.join(', ')}`, {
    hint: [
      ...(elsewhere.length > 0 ? [`it is in another region: ${elsewhere.join(', ')}`] : []),
      ...(elsewhere.length === 0 && near.length > 0 ? [`did you mean: ${near.join(', ')}`] : []),
      'see all: cloudtun targets --kind database',
    ],
  });
}
