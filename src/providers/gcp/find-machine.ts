import { CloudtunError, type ErrorDetail } from '../../domain/errors.ts';
import { nearestNames } from '../../domain/nearest.ts';
import type { HostTarget, NodeTarget } from '../../domain/target.ts';
import type { FindMachineOptions } from '../provider.ts';
import type { GcpApi } from './gcp-api.ts';
import { isDenial } from './gcp-errors.ts';
import { atAddress, getMachine, listMachines, type Machine, quoted, unseenMachine } from './machines.ts';
import { type NodeName, parseNodeName } from './target-name.ts';

/** How many candidates an error lists. */
const LISTED = 10;

/**
 * Resolves a TARGET that a tunnel can end at: an instance, or a host of a destination group.
 *
 * Nothing is asked where project, zone and name are known (as gcloud does with an explicit zone): the relay looks the instance up
 * anyway, and what is wrong is found out when it says so (diagnose.ts).
 *
 * @throws CT_TARGET_NOT_FOUND, CT_TARGET_AMBIGUOUS, CT_TARGET_STOPPED, CT_USAGE, CT_NO_PROJECT, CT_DENIED …
 */
export async function findMachine(
  api: GcpApi,
  text: string,
  options: FindMachineOptions,
  signal: AbortSignal,
): Promise<NodeTarget> {
  const name = parseNodeName(text);
  if (name.by === 'group') return hostTarget(api, name, signal);
  const place = await placeOf(api, name, signal);
  if (place !== undefined && options.mustExist !== true) {
    return unseenMachine(place.project, place.zone, place.instance);
  }
  const machine =
    place === undefined
      ? await bySearch(api, text, name, signal)
      : await byPlace(api, text, place.project, place.zone, place.instance, signal);
  if (options.mustBeOnline !== false) requireRunning(machine);
  return machine.target;
}

type GroupName = Extract<NodeName, { by: 'group' }>;

async function hostTarget(api: GcpApi, name: GroupName, signal: AbortSignal): Promise<HostTarget> {
  const [project] = await api.projects(signal);
  return groupHost(project!, name);
}

/** A host of a destination group, as a target. */
export function groupHost(project: string, { host, region, network, group }: Omit<GroupName, 'by'>): HostTarget {
  const place = [region, network, group].filter((part) => part !== undefined).join('/');
  const written = host.includes(':') ? `[${host}]` : host;
  return {
    kind: 'host',
    provider: 'gcp',
    id: `${written}@${place}`,
    name: host,
    host,
    project,
    region,
    networkId: network,
    ...(group === undefined ? {} : { group }),
  };
}

/** Project, zone and instance, where name and settings say all three. A number is enough for the relay as well. */
async function placeOf(
  api: GcpApi,
  name: NodeName,
  signal: AbortSignal,
): Promise<{ readonly project: string; readonly zone: string; readonly instance: string } | undefined> {
  if (name.by === 'path') return name;
  const { zone } = api.settings;
  if (zone === undefined || (name.by !== 'name' && name.by !== 'number')) return undefined;
  const projects = await api.projects(signal);
  const instance = name.by === 'name' ? name.name : name.number;
  return projects.length === 1 ? { project: projects[0]!, zone, instance } : undefined;
}

async function byPlace(
  api: GcpApi,
  text: string,
  project: string,
  zone: string,
  instance: string,
  signal: AbortSignal,
): Promise<Machine> {
  try {
    return await getMachine(api, project, zone, instance, signal);
  } catch (error) {
    if (!(error instanceof CloudtunError) || error.code !== 'CT_TARGET_NOT_FOUND') throw error;
    throw await notFound(api, text, [project], signal, instance);
  }
}

async function bySearch(api: GcpApi, text: string, name: NodeName, signal: AbortSignal): Promise<Machine> {
  const projects = await api.projects(signal);
  const machines = await search(api, projects, name, signal);
  if (machines.length === 0) throw await notFound(api, text, projects, signal);
  machines.sort((a, b) => b.startedAt - a.startedAt || (a.target.id < b.target.id ? -1 : 1));
  const running = machines.filter(({ target }) => target.state === 'running');
  // A label names a role that any member can play: the newest running one does.
  if (name.by === 'label') return running[0] ?? machines[0]!;
  const candidates = running.length > 0 ? running : machines;
  if (candidates.length === 1) return candidates[0]!;
  throw new CloudtunError(
    'CT_TARGET_AMBIGUOUS',
    `${candidates.length} instances are called "${text}" in ${projects.join(', ')}`,
    {
      details: candidates.slice(0, LISTED).map(candidateLine),
      hint: [
        'use project/zone/instance instead, or name the zone with --zone',
        'see all: cloudtun targets --kind machine',
      ],
    },
  );
}

/** In all projects at once. One that denies is passed over with a warning as long as another one answers. */
async function search(
  api: GcpApi,
  projects: readonly string[],
  name: NodeName,
  signal: AbortSignal,
): Promise<Machine[]> {
  const filter = filterFor(name);
  const answers = await Promise.allSettled(projects.map((project) => listMachines(api, project, filter, signal)));
  const failures = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []));
  const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  signal.throwIfAborted();
  if (failures.length > 0 && (failures.length === projects.length || !failures.every(isDenial))) throw failures[0];
  for (const failure of failures) api.warn(`not all projects were searched: ${(failure as Error).message}`);
  const { zone } = api.settings;
  const matches = found.filter((machine) => answersTo(machine, name));
  // With a zone and several projects, the zone still narrows.
  const inZone = zone === undefined ? matches : matches.filter(({ target }) => target.zone === zone);
  const chosen = inZone.length > 0 ? inZone : matches;
  return name.by === 'ip' ? chosen.map((machine) => atAddress(machine, name.ip)) : chosen;
}

/** What the API can sort out by itself; addresses of interfaces it cannot be relied on for. */
function filterFor(name: NodeName): string | undefined {
  switch (name.by) {
    case 'name':
      return `name = ${quoted(name.name)}`;
    case 'number':
      return `id = ${name.number}`;
    case 'label':
      return `labels.${name.key} = ${quoted(name.value)}`;
    default:
      return undefined;
  }
}

/** The API's filter is a convenience; what counts is this. */
function answersTo(machine: Machine, name: NodeName): boolean {
  switch (name.by) {
    case 'name':
      return machine.target.name === name.name;
    case 'number':
      return machine.number === name.number;
    case 'label':
      return machine.labels[name.key] === name.value;
    case 'ip':
      return machine.interfaces.some(({ addresses }) => addresses.includes(name.ip));
    default:
      return false;
  }
}

function requireRunning({ target, status }: Machine): void {
  if (target.state === 'running') return;
  const { name = target.id, zone = '', project = '' } = target;
  if (target.state === 'stopped') {
    throw new CloudtunError('CT_TARGET_STOPPED', `${name} is stopped (${status})`, {
      hint: [startCommand(target), 'see all: cloudtun targets --kind machine'],
    });
  }
  throw new CloudtunError('CT_TARGET_STOPPED', `${name} in ${zone} of ${project} is not running yet (${status})`, {
    hint: 'wait until it runs, and try again',
  });
}

/** `start it: gcloud compute instances start …` */
export const startCommand = (target: Machine['target']): string =>
  `start it: gcloud compute instances start ${target.name ?? target.id} --zone=${target.zone ?? '?'} --project=${target.project ?? '?'}`;

function candidateLine({ target, status }: Machine): ErrorDetail {
  return [target.id, [target.privateIp, status].filter(Boolean).join(', ')];
}

/** CT_TARGET_NOT_FOUND with namesakes elsewhere and the nearest names, if they may be listed. */
async function notFound(
  api: GcpApi,
  text: string,
  projects: readonly string[],
  signal: AbortSignal,
  instance?: string,
): Promise<CloudtunError> {
  const answers = await Promise.all(
    projects.map((project) => listMachines(api, project, undefined, signal).catch((): Machine[] => [])),
  );
  signal.throwIfAborted();
  const targets = answers.flat().map(({ target }) => target);
  const word = instance ?? text.replace(/^gcp:/, '');
  const elsewhere = targets.filter(({ name }) => name === instance).map(({ id }) => id);
  const near = nearestNames(
    word,
    targets.map(({ name, id }) => name ?? id),
  );
  const where = instance === undefined ? projects.join(', ') : text;
  const sentence = instance === undefined ? `no instance named "${word}" in ${where}` : `there is no instance ${where}`;
  return new CloudtunError('CT_TARGET_NOT_FOUND', sentence, {
    hint: [
      ...(elsewhere.length > 0 ? [`it is in another zone: ${elsewhere.slice(0, LISTED).join(', ')}`] : []),
      ...(elsewhere.length === 0 && near.length > 0 ? [`did you mean: ${near.join(', ')}`] : []),
      'see all: cloudtun targets --kind machine',
    ],
  });
}
