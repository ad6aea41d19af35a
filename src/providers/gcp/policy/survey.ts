import { CloudtunError } from '../../../domain/errors.ts';
import type { Grant } from '../../../domain/grant.ts';
import type { NodeTarget, Route } from '../../../domain/target.ts';
import type { Logins } from '../../provider.ts';
import { discoverWay } from '../choose-way.ts';
import { findDatabase } from '../find-database.ts';
import { findMachine } from '../find-machine.ts';
import type { GcpApi } from '../gcp-api.ts';
import { isDenial } from '../gcp-errors.ts';
import { getMachine } from '../machines.ts';
import { ownGroupName } from './bindings.ts';
import { type GcpFacts, needsLogin, SSH_PORT, type SubjectFacts, subjectKey, type TunnelWay } from './facts.ts';
import { readPolicy } from './policy-store.ts';

/** How many things are looked up side by side. */
const SIDE_BY_SIDE = 4;

/**
 * What stands behind the names of the catalogue: machines, their service accounts, groups that hold a database. Asks for each thing once.
 *
 * @throws CT_TARGET_NOT_FOUND, CT_TARGET_AMBIGUOUS … with the team that asks for it among the details; CT_DENIED
 */
export async function surveyGcp(
  api: GcpApi,
  logins: Pick<Logins, 'access'>,
  grants: readonly Grant[],
  signal: AbortSignal,
): Promise<GcpFacts> {
  const [project = ''] = await api.projects(signal);
  const waiting = [...new Map(grants.map((grant) => [subjectKey(grant), grant])).values()];
  const subjects = new Map<string, SubjectFacts>();
  const work = async () => {
    for (let grant = waiting.shift(); grant !== undefined; grant = waiting.shift()) {
      const found = await asked(grant, async () =>
        ofProject(await lookUp(api, logins, grant!, project, signal), project),
      );
      subjects.set(subjectKey(grant), found);
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
  const isLogged = await hasTunnelLog(api, project, signal);
  return {
    project,
    subjects: Object.fromEntries(subjects),
    isAssumed: false,
    ...(isLogged !== undefined && { isLogged }),
  };
}

/** @throws CT_CONFIG for what is in another project: its permissions would not be found again when they are to go */
function ofProject(found: SubjectFacts, project: string): SubjectFacts {
  if (found.project === project) return found;
  throw new CloudtunError(
    'CT_CONFIG',
    `${found.label} is in ${found.project}, and permissions are written in ${project}`,
    {
      hint: `write project: ${found.project} to it in cloudtun.yaml`,
    },
  );
}

/** Whether Data Access logs say who reached what (iam.md 4.6); undefined where one may not see. */
async function hasTunnelLog(api: GcpApi, project: string, signal: AbortSignal): Promise<boolean | undefined> {
  try {
    const { auditConfigs = [] } = (await readPolicy(api, `projects/${project}`, signal)) ?? {};
    return auditConfigs.some(
      ({ service, auditLogConfigs = [] }) =>
        (service === 'iap.googleapis.com' || service === 'allServices') &&
        auditLogConfigs.some(({ logType }) => logType === 'DATA_READ'),
    );
  } catch (error) {
    if (isDenial(error)) return undefined;
    throw error;
  }
}

/** The error with who asked for it. */
async function asked<Result>({ team, verb, subject }: Grant, look: () => Promise<Result>): Promise<Result> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof CloudtunError) || error.code === 'CT_DENIED') throw error;
    throw new CloudtunError(error.code, error.message, {
      details: [...error.details, ['asked for', `team ${team}: ${verb} ${subject.name}`]],
      hint: error.hints,
      cause: error.cause ?? error,
    });
  }
}

async function lookUp(
  api: GcpApi,
  logins: Pick<Logins, 'access'>,
  grant: Grant,
  project: string,
  signal: AbortSignal,
): Promise<SubjectFacts> {
  const { verb, subject } = grant;
  const secret = subject.secret === undefined ? {} : { secret: subject.secret };
  if (subject.database !== undefined && subject.machine === undefined) {
    return { ...(await databaseByGroup(api, grant, project, signal)), ...secret };
  }
  const sql =
    subject.database === undefined
      ? {}
      : { sqlInstance: (await findDatabase(api, subject.database, {}, signal)).id.split(':').at(-1)! };
  const node = await findMachine(
    api,
    subject.machine ?? subject.name,
    { mustBeOnline: false, mustExist: true },
    signal,
  );
  const isBehindLogin = needsLogin(grant);
  if (node.kind === 'host') {
    const port = subject.machinePort ?? subject.port ?? 0;
    return {
      project: node.project,
      way: groupWay(node),
      label: node.host,
      port,
      isBehindLogin: false,
      ...sql,
      ...secret,
    };
  }
  const way = await instanceWay(api, node.id, signal);
  const own = subject.machinePort ?? subject.port ?? SSH_PORT;
  const needed = needsLogin(grant) ? await logins.access(node, undefined, signal) : [];
  const isKeptOut = needed.some(({ action }) => action === 'compute.instances.setMetadata');
  return {
    project: node.project ?? project,
    way,
    label: node.name ?? node.id,
    port: isBehindLogin || verb !== 'connect' ? SSH_PORT : own,
    isBehindLogin: isBehindLogin && verb === 'connect',
    ...(isKeptOut && { hasOsLogin: false }),
    ...(/^(gcp:)?label:/.test(subject.machine ?? '') && {
      remarks: [`${subject.machine} is ${node.name ?? node.id} today; another machine that has it is another plan`],
    }),
    ...sql,
    ...secret,
  };
}

/** @param id `project/zone/name` */
async function instanceWay(api: GcpApi, id: string, signal: AbortSignal): Promise<TunnelWay> {
  const [project = '', zone = '', instance = ''] = id.split('/');
  const { serviceAccounts } = await getMachine(api, project, zone, instance, signal);
  const [serviceAccount] = serviceAccounts;
  return { kind: 'instance', zone, instance, ...(serviceAccount !== undefined && { serviceAccount }) };
}

function groupWay(node: Extract<NodeTarget, { kind: 'host' }>): TunnelWay {
  const { region, networkId: network, group, host } = node;
  if (group !== undefined) return { kind: 'group', region, network, group, host, isOurs: false };
  throw new CloudtunError('CT_CONFIG', `which destination group is ${host} in? permissions are given on the group`, {
    hint: `write it into the name: ${host}@${region}/${network}/GROUP`,
  });
}

async function databaseByGroup(
  api: GcpApi,
  { subject }: Grant,
  project: string,
  signal: AbortSignal,
): Promise<SubjectFacts> {
  const database = await findDatabase(api, subject.database!, {}, signal);
  const { host, port } = database.endpoint;
  const region = database.id.split(':').at(-2) ?? '';
  const own = ownGroupName(subject.name);
  const base = {
    project: database.project ?? project,
    label: database.name ?? database.id,
    port,
    isBehindLogin: false,
    sqlInstance: database.id.split(':').at(-1)!,
  };
  const found = await wayOf(() => discoverWay(api, database, host, port, signal));
  if (found?.node.kind === 'host' && found.node.group !== undefined) {
    const { group, networkId: network } = found.node;
    return { ...base, way: { kind: 'group', region, network, group, host, isOurs: group === own } };
  }
  const network = database.networkId?.split('/').at(-1) ?? 'default';
  return {
    ...base,
    way: { kind: 'group', region, network, group: own, host, isOurs: true },
    remarks: [`no destination group holds ${host} yet, so ${own} is made`],
  };
}

/** Undefined where no group leads there yet. */
async function wayOf(look: () => Promise<Pick<Route, 'node'>>): Promise<Pick<Route, 'node'> | undefined> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof CloudtunError && error.code === 'CT_NO_BASTION') return undefined;
    throw error;
  }
}
