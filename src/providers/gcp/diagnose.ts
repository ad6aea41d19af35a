import { CloudtunError, type ErrorDetail } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import type { HostTarget, MachineTarget, NodeTarget } from '../../domain/target.ts';
import { withDeadline } from '../../runtime/deadline.ts';
import type { World } from '../../runtime/world.ts';
import { entryFor, listDestinationGroups } from './destination-groups.ts';
import { startCommand } from './find-machine.ts';
import { admitCommand, IAP_RANGES, judgeAdmission, listFirewallRules } from './firewall.ts';
import type { GcpApi } from './gcp-api.ts';
import type { ApiCall } from './gcp-errors.ts';
import { getMachine, listMachines, type Machine, quoted } from './machines.ts';

/** In all, whatever is asked: a person waits for the error. */
const WITHIN: Millis = 5_000;
/** A machine that is younger may still be booting (docs/guides/google-cloud.md, "What the machine needs"). */
const BOOTING: Millis = 120_000;

/** What the tunnel should have reached. */
export interface Reached {
  readonly node: NodeTarget;
  readonly port: number;
}

/** Refusals that a missing or stopped machine, a firewall and a port without a listener may all be behind. */
const UNREACHABLE: readonly CloudtunError['code'][] = [
  'CT_REMOTE_REFUSED',
  'CT_REMOTE_SILENT',
  'CT_TARGET_NOT_FOUND',
  'CT_TARGET_OFFLINE',
  'CT_TARGET_STOPPED',
  'CT_UPGRADE_REFUSED',
];

/** Closes that leave open what is wrong (docs/protocol/iap.md, "Close codes"); any other says it by itself, such as a policy's refusal. */
const VAGUE_CLOSES: readonly number[] = [4003, 4033, 4047, 4051];

/** The detail that only the answer for a machine in order has. */
const GUESSED_BY = 'machine';

/** The code that the relay closed with, as the transport tells it; undefined where nothing was closed. */
function closeCode(error: CloudtunError): number | undefined {
  const told = error.details.find(([label]) => label === 'relay')?.[1];
  const digits = /^close (\d+)/.exec(told ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/**
 * Asks the Compute and IAP APIs what the relay's short refusal may mean. Whatever they do not tell, within five seconds in all,
 * leaves the error as it is.
 */
export async function diagnose(
  world: World,
  api: GcpApi,
  reached: Reached,
  error: CloudtunError,
  signal: AbortSignal,
): Promise<CloudtunError> {
  const isDenied = error.code === 'CT_DENIED';
  if (!isDenied && !UNREACHABLE.includes(error.code)) return error;
  const closed = closeCode(error);
  if (closed !== undefined && !VAGUE_CLOSES.includes(closed)) return error;
  const { node } = reached;
  try {
    return await withDeadline(
      world.clock,
      WITHIN,
      async (limited) => {
        if (isDenied) return await explainDenial(api, node, reached.port, error, limited);
        if (node.kind === 'host') return unreachedHost(node, reached.port, error);
        return await examineMachine(world, api, node, reached.port, error, limited);
      },
      signal,
    );
  } catch {
    return error;
  }
}

/** Waits for an answer of the relay are no use then: the machine does not run or is not there, or the firewall is shut. */
export async function surelyUnreachable(
  world: World,
  api: GcpApi,
  { node, port }: Reached,
  signal: AbortSignal,
): Promise<CloudtunError | undefined> {
  if (node.kind !== 'machine') return undefined;
  const question = new CloudtunError('CT_REMOTE_SILENT', `the relay keeps silent about port ${port} of ${node.id}`);
  const answer = await diagnose(world, api, { node, port }, question, signal);
  return answer === question || isGuess(answer) ? undefined : answer;
}

async function examineMachine(
  world: World,
  api: GcpApi,
  node: MachineTarget,
  port: number,
  error: CloudtunError,
  signal: AbortSignal,
): Promise<CloudtunError> {
  const [project = '', zone = '', instance = ''] = node.id.split('/');
  let machine: Machine;
  try {
    machine = await getMachine(api, project, zone, instance, signal);
  } catch (failure) {
    if (!(failure instanceof CloudtunError) || failure.code !== 'CT_TARGET_NOT_FOUND') throw failure;
    return await missingMachine(api, { project, zone, instance }, error, signal);
  }
  const { target, status } = machine;
  if (target.state === 'stopped') {
    return new CloudtunError('CT_TARGET_STOPPED', `${instance} is stopped (${status})`, {
      hint: [startCommand(target), 'see all: cloudtun targets --kind machine'],
      cause: error,
    });
  }
  if (target.state === 'other') {
    return new CloudtunError('CT_TARGET_OFFLINE', `${instance} is not running yet (${status})`, {
      hint: 'wait until it runs, and try again',
      cause: error,
    });
  }
  const wanted = node.networkInterface ?? 'nic0';
  if (!machine.interfaces.some(({ name }) => name === wanted)) {
    const names = machine.interfaces.map(({ name }) => name).join(', ');
    return new CloudtunError('CT_TARGET_NOT_FOUND', `${instance} has no network interface ${wanted}`, {
      details: [['interfaces', names]],
      hint: 'name it by the internal address that should be reached',
      cause: error,
    });
  }
  return await unansweredPort(world, api, machine, port, error, signal);
}

/** The machine runs: the firewall, or nobody listens. */
async function unansweredPort(
  world: World,
  api: GcpApi,
  machine: Machine,
  port: number,
  error: CloudtunError,
  signal: AbortSignal,
): Promise<CloudtunError> {
  const { target } = machine;
  const { name = target.id } = target;
  const rules = await listFirewallRules(api, networkProject(machine), signal).catch(() => undefined);
  const admission = rules === undefined ? undefined : judgeAdmission(machine, port, rules);
  const age = world.clock.wall() - machine.startedAt;
  const started: ErrorDetail[] =
    age >= 0 && age < BOOTING ? [['started', `${Math.round(age / 1_000)} s ago: it may still be booting`]] : [];
  if (admission?.is === 'closed') {
    const by = admission.rule === undefined ? 'no rule admits it' : `the rule ${admission.rule} keeps it out`;
    return new CloudtunError(
      'CT_REMOTE_REFUSED',
      `the firewall does not let Identity-Aware Proxy in to port ${port} of ${name}`,
      {
        details: [['firewall', `${rangeOf(machine)} on tcp:${port}: ${by}`], ...started],
        hint: admitCommand(machine, port),
        cause: error,
      },
    );
  }
  const firewall =
    admission === undefined
      ? 'its rules could not be looked up'
      : admission.is === 'open'
        ? `${rangeOf(machine)} on tcp:${port} is let in by ${admission.rule ?? '?'}`
        : `the rule ${admission.rule ?? '?'} lets a part of ${rangeOf(machine)} in only`;
  return new CloudtunError('CT_REMOTE_REFUSED', `nobody answers on port ${port} of ${name}`, {
    details: [[GUESSED_BY, machine.status], ['firewall', firewall], ...started],
    hint: [
      `check that something listens on port ${port} of its network interface, not on its loopback only`,
      ...(admission === undefined
        ? [`check that the firewall lets in ${rangeOf(machine)}: ${admitCommand(machine, port)}`]
        : []),
    ],
    cause: error,
  });
}

/** Nobody answers, as far as the APIs can see: somebody may be slow. */
const isGuess = (error: CloudtunError) => error.details.some(([label]) => label === GUESSED_BY);

const rangeOf = ({ target }: Machine) => (target.privateIp?.includes(':') ? IAP_RANGES[6] : IAP_RANGES[4]);

/** With a shared network the rules are in the host project. */
const networkProject = ({ target }: Machine) =>
  /^projects\/([^/]+)\//.exec(target.networkId ?? '')?.[1] ?? target.project ?? '';

async function missingMachine(
  api: GcpApi,
  { project, zone, instance }: { readonly project: string; readonly zone: string; readonly instance: string },
  error: CloudtunError,
  signal: AbortSignal,
): Promise<CloudtunError> {
  const namesakes = await listMachines(api, project, `name = ${quoted(instance)}`, signal).catch((): Machine[] => []);
  const elsewhere = namesakes.filter(({ target }) => target.name === instance).map(({ target }) => target);
  if (elsewhere.length === 0) {
    return new CloudtunError('CT_TARGET_NOT_FOUND', `there is no instance ${instance} in ${project}`, {
      details: [['looked in', `${zone} and all other zones that may be listed`]],
      hint: 'see all: cloudtun targets --kind machine',
      cause: error,
    });
  }
  const zones = elsewhere.map((target) => target.zone ?? '?').join(', ');
  return new CloudtunError('CT_TARGET_NOT_FOUND', `${instance} is not in zone ${zone}; it is in ${zones}`, {
    hint: [`use ${elsewhere[0]!.id}, or --zone ${elsewhere[0]!.zone ?? '?'}`],
    cause: error,
  });
}

function unreachedHost(node: HostTarget, port: number, error: CloudtunError): CloudtunError {
  if (error.code !== 'CT_REMOTE_REFUSED' && error.code !== 'CT_REMOTE_SILENT') return error;
  return new CloudtunError(error.code, `nobody answers on port ${port} of ${node.host}`, {
    details: [...error.details, ['reached from', `network ${node.networkId} in ${node.region} of ${node.project}`]],
    hint: [
      `check that the host listens on port ${port}, and that its firewall and routes admit ${IAP_RANGES[4]}`,
      'check that the destination group holds the host and that the network has a path to it (VPN, Interconnect, peering)',
    ],
    cause: error,
  });
}

/** Who was denied, what is missing, and whether the IAM policies know more. */
async function explainDenial(
  api: GcpApi,
  node: NodeTarget,
  port: number,
  error: CloudtunError,
  signal: AbortSignal,
): Promise<CloudtunError> {
  const permission = tunnelPermission(node);
  const [identity, isGranted, mistaken] = await Promise.all([
    api.identity(signal).catch(() => undefined),
    hasPermission(api, node, permission, signal).catch(() => undefined),
    node.kind === 'host' ? mistakenGroup(api, node, error, signal).catch(() => undefined) : undefined,
  ]);
  if (mistaken !== undefined) return mistaken;
  const who = identity?.id ?? 'this identity';
  const what = node.kind === 'host' ? node.host : (node.name ?? node.id);
  const details: ErrorDetail[] = [
    ...(identity === undefined ? [] : [['identity', `${identity.id} (${identity.source})`] as const]),
    [isGranted === true ? 'granted' : 'missing', `${permission} on ${tunnelResource(node)}`],
    // What the relay itself said, such as the id of a policy violation.
    ...error.details,
  ];
  if (isGranted === true) {
    return new CloudtunError('CT_DENIED', `${who} may open tunnels to ${what}, but not this one, now`, {
      details,
      hint: [
        `a condition of the grant speaks against it: port ${port}, address, time, or access level (device, network)`,
        'a grant that was made just now takes minutes to work everywhere',
      ],
      cause: error,
    });
  }
  return new CloudtunError('CT_DENIED', `${who} may not open a tunnel to ${what}`, {
    details,
    hint: [
      'ask for the role roles/iap.tunnelResourceAccessor on it; conditions on port, address, time or access level may also exclude you',
      `check that project ${node.project ?? '?'} exists: the refusal for one that does not is the same`,
    ],
    cause: error,
  });
}

/**
 * The relay says "not authorized" of a group that does not exist, or does not hold the host, as well; and a grant above the group
 * counts for any name. Undefined when the group holds it.
 */
async function mistakenGroup(
  api: GcpApi,
  { project, region, group: wanted, host }: HostTarget,
  error: CloudtunError,
  signal: AbortSignal,
): Promise<CloudtunError | undefined> {
  if (wanted === undefined) return undefined;
  const groups = await listDestinationGroups(api, project, region, signal);
  const group = groups.find(({ name }) => name === wanted);
  if (group !== undefined && entryFor(group, host) !== undefined) return undefined;
  const holding = groups.filter((each) => entryFor(each, host) !== undefined).map(({ name }) => name);
  const message =
    group === undefined
      ? `there is no destination group ${wanted} in ${region} of ${project}`
      : `the destination group ${wanted} does not hold ${host}`;
  const list = (texts: readonly string[]) => texts.join(', ') || 'none';
  return new CloudtunError('CT_TARGET_NOT_FOUND', message, {
    details: [
      group === undefined
        ? ['groups', list(groups.map(({ name }) => name))]
        : ['it holds', list([...group.cidrs, ...group.fqdns])],
      ...error.details,
    ],
    hint:
      holding.length > 0
        ? `${host} is held by ${holding.join(', ')}`
        : [`no group in ${region} holds ${host}`, 'ask who runs the project to add it to one'],
    cause: error,
  });
}

export const tunnelPermission = (node: NodeTarget): string =>
  node.kind === 'host' ? 'iap.tunnelDestGroups.accessViaIAP' : 'iap.tunnelInstances.accessViaIAP';

/** `projects/acme/iap_tunnel/zones/europe-west4-a/instances/web-1`: what a grant is bound to, or to a part above it. */
export function tunnelResource(node: NodeTarget): string {
  if (node.kind === 'host') {
    const group = node.group === undefined ? '' : `/destGroups/${node.group}`;
    return `projects/${node.project}/iap_tunnel/locations/${node.region}${group}`;
  }
  const [project = '', zone = '', instance = ''] = node.id.split('/');
  return `projects/${project}/iap_tunnel/zones/${zone}/instances/${instance}`;
}

/** What IAM says without a connection: conditions on port and address are not weighed. */
async function hasPermission(api: GcpApi, node: NodeTarget, permission: string, signal: AbortSignal): Promise<boolean> {
  const resource = tunnelResource(node);
  const call: ApiCall = { permission, resource, doing: `ask for permissions on ${resource}` };
  const encoded = resource.split('/').map(encodeURIComponent).join('/');
  const request = {
    service: 'iap' as const,
    path: `/v1/${encoded}:testIamPermissions`,
    method: 'POST' as const,
    body: { permissions: [permission] },
  };
  const answer = await api.call<{ permissions?: readonly string[] }>(request, call, signal);
  return answer.permissions?.includes(permission) === true;
}
