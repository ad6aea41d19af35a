import type { GcpDestGroup, GcpInventory } from '../inventory.ts';
import { faults } from './google-fault.ts';
import type { GcpApiContext, GcpCall, GcpOperation } from './operation.ts';

const GROUPS = '/iap/v1/projects/(?<project>[^/]+)/iap_tunnel/locations/(?<location>[^/]+)/destGroups';
const ONE = `${GROUPS}/(?<group>[^/:]+)`;

/** Making, changing and removing destination groups. A group made here is of the first network of its project. */
export function destGroupChanges(context: GcpApiContext): readonly GcpOperation[] {
  const operation = (
    method: GcpOperation['method'],
    verb: 'create' | 'update' | 'delete',
    path: string,
    run: (call: GcpCall) => object,
  ): GcpOperation => ({
    method,
    path: new RegExp(`^${path}$`),
    action: `iap.destGroups.${verb}`,
    service: 'iap.googleapis.com',
    needs: ({ project, location, group }) => ({
      permission: `iap.tunnelDestGroups.${verb}`,
      resource: `projects/${project}/iap_tunnel/locations/${location}${group ? `/destGroups/${group}` : ''}`,
    }),
    run,
  });
  const isMeant = (call: GcpCall) => (one: GcpDestGroup) =>
    one.project === call.project.id && one.region === call.path.location && one.name === call.path.group;
  const find = (call: GcpCall): GcpDestGroup => {
    const found = context.inventory().destGroups.find(isMeant(call));
    if (found === undefined) throw faults.notFound(`destGroups/${call.path.group}`);
    return found;
  };
  const change = (vary: (groups: readonly GcpDestGroup[]) => readonly GcpDestGroup[]) =>
    context.change((before: GcpInventory) => ({ ...before, destGroups: vary(before.destGroups) }));

  return [
    operation('POST', 'create', GROUPS, (call) => {
      const name = call.query.get('tunnelDestGroupId') ?? '';
      // Letters and dashes: no digits, as the reference of the API has it.
      if (!/^[a-z-]{4,63}$/.test(name)) throw faults.invalid('Invalid tunnel_dest_group_id.');
      const { location: region = '' } = call.path;
      const made = { ...call, path: { ...call.path, group: name } };
      if (context.inventory().destGroups.some(isMeant(made))) throw faults.exists(`destGroups/${name} already exists.`);
      const network =
        context.inventory().networks.find(({ project }) => project === call.project.id)?.name ?? 'default';
      const group = { project: call.project.id, region, name, network, ...readRanges(call, undefined) };
      change((groups) => [...groups, group]);
      return groupShape(group);
    }),
    operation('PATCH', 'update', ONE, (call) => {
      const changed = { ...find(call), ...readRanges(call, find(call)) };
      change((groups) => groups.map((one) => (isMeant(call)(one) ? changed : one)));
      return groupShape(changed);
    }),
    operation('DELETE', 'delete', ONE, (call) => {
      find(call);
      change((groups) => groups.filter((one) => !isMeant(call)(one)));
      return {};
    }),
  ];
}

/** With an update mask, only what it names. */
function readRanges(call: GcpCall, before: GcpDestGroup | undefined): Pick<GcpDestGroup, 'cidrs' | 'fqdns'> {
  const mask = call.query.get('updateMask')?.split(',');
  const read = (member: 'cidrs' | 'fqdns'): readonly string[] => {
    if (before !== undefined && mask !== undefined && !mask.includes(member)) return before[member];
    const value = call.body?.[member] ?? [];
    if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value as string[];
    throw faults.invalid(`${member} must be a list of texts.`);
  };
  return { cidrs: read('cidrs'), fqdns: read('fqdns') };
}

export function groupShape({ project, region, name, cidrs, fqdns }: GcpDestGroup): object {
  return { name: `projects/${project}/iap_tunnel/locations/${region}/destGroups/${name}`, cidrs, fqdns };
}
