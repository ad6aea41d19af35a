import type { GcpInstance } from '../inventory.ts';
import { link, metadataFingerprint } from './compute-shapes.ts';
import { faults, GoogleFault } from './google-fault.ts';
import type { GcpApiContext, GcpCall, GcpOperation } from './operation.ts';

const SERVICE = 'compute.googleapis.com';
const PROJECT = '/compute/v1/projects/(?<project>[^/]+)';
const ZONE = '/zones/(?<zone>[^/]+)';
const INSTANCE = `${ZONE}/instances/(?<instance>[^/]+)`;
/** Of one item's value. */
const VALUE_LIMIT = 262_144;
const OPERATIONS_KEPT = 1_000;

type Metadata = Readonly<Record<string, string>>;

/** The part of the Compute Engine API (v1) that changes metadata and reads what a machine published. */
export function instanceMetadataApi(context: GcpApiContext): readonly GcpOperation[] {
  const { inventory } = context;
  const operations = new ZoneOperations(context);
  const instanceOf = ({ path, project }: GcpCall): GcpInstance => {
    const found = inventory().instances.find(
      (one) =>
        one.project === project.id &&
        one.zone === path.zone &&
        (one.name === path.instance || one.id === path.instance),
    );
    if (found === undefined)
      throw faults.notFound(`projects/${project.id}/zones/${path.zone}/instances/${path.instance}`);
    return found;
  };
  const operation = (
    method: 'GET' | 'POST',
    action: string,
    path: string,
    permission: string,
    run: (call: GcpCall) => object,
  ): GcpOperation => ({
    method,
    path: new RegExp(`^${PROJECT}${path}$`),
    action: `compute.${action}`,
    service: SERVICE,
    needs: ({ project, zone, instance }) => ({
      permission: `compute.${permission}`,
      resource: [
        'projects',
        project,
        ...(zone ? ['zones', zone] : []),
        ...(instance ? ['instances', instance] : []),
      ].join('/'),
    }),
    run,
  });
  return [
    operation('POST', 'instances.setMetadata', `${INSTANCE}/setMetadata`, 'instances.setMetadata', (call) => {
      const found = instanceOf(call);
      const { serviceAccount } = found;
      const actAs = 'iam.serviceAccounts.actAs';
      // Who may set its start script may act as the machine.
      if (serviceAccount !== undefined && !context.iam.may(call.caller.email, actAs, serviceAccount)) {
        throw faults.denied(actAs, serviceAccount);
      }
      const metadata = newMetadata(call, found.metadata);
      context.change((before) => ({
        ...before,
        instances: before.instances.map((one) => (one.id === found.id ? { ...one, metadata } : one)),
      }));
      return operations.begin(call, 'setMetadata', found);
    }),
    operation(
      'POST',
      'projects.setCommonInstanceMetadata',
      '/setCommonInstanceMetadata',
      'projects.setCommonInstanceMetadata',
      (call) => {
        const metadata = newMetadata(call, call.project.metadata ?? {});
        context.change((before) => ({
          ...before,
          projects: before.projects.map((one) => (one.id === call.project.id ? { ...one, metadata } : one)),
        }));
        return operations.begin(call, 'compute.projects.setCommonInstanceMetadata', undefined);
      },
    ),
    operation('GET', 'zoneOperations.get', `${ZONE}/operations/(?<operation>[^/]+)`, 'zoneOperations.get', (call) =>
      operations.read(call),
    ),
    operation(
      'POST',
      'zoneOperations.wait',
      `${ZONE}/operations/(?<operation>[^/]+)/wait`,
      'zoneOperations.get',
      (call) => operations.read(call),
    ),
    operation('GET', 'globalOperations.get', '/global/operations/(?<operation>[^/]+)', 'globalOperations.get', (call) =>
      operations.read(call),
    ),
    operation(
      'GET',
      'instances.getGuestAttributes',
      `${INSTANCE}/getGuestAttributes`,
      'instances.getGuestAttributes',
      (call) => {
        const found = instanceOf(call);
        const queryPath = call.query.get('queryPath') ?? '';
        const blob = found.status === 'RUNNING' ? context.publishedHostKey(found) : undefined;
        const self = `projects/${found.project}/zones/${found.zone}/instances/${found.name}/getGuestAttributes`;
        // Nothing there and not switched on look the same.
        if (blob === undefined || !/^hostkeys\/(?:ssh-ed25519)?$/.test(queryPath))
          throw faults.notFound(`${self}/${queryPath}`);
        const item = { namespace: 'hostkeys', key: 'ssh-ed25519', value: blob.toString('base64') };
        return { kind: 'compute#guestAttributes', queryPath, queryValue: { items: [item] }, selfLink: link(self) };
      },
    ),
  ];
}

function newMetadata({ body }: GcpCall, before: Metadata): Metadata {
  if (body?.fingerprint !== metadataFingerprint(before)) {
    throw new GoogleFault({
      code: 412,
      status: 'FAILED_PRECONDITION',
      reason: 'conditionNotMet',
      message: 'Supplied fingerprint does not match current metadata fingerprint.',
    });
  }
  const items = body.items ?? [];
  if (!Array.isArray(items)) throw faults.invalid("Invalid value for field 'resource.items'.");
  const entries = items.map((item: unknown): readonly [string, string] => {
    const { key, value } = (item ?? {}) as { readonly key?: unknown; readonly value?: unknown };
    if (typeof key !== 'string' || !/^[A-Za-z0-9_-]{1,128}$/.test(key) || typeof value !== 'string') {
      throw faults.invalid("Invalid value for field 'resource.items[].key'.");
    }
    if (Buffer.byteLength(value) > VALUE_LIMIT) {
      throw faults.invalid(
        `Value for field 'metadata.items[].value' is too large: maximum size ${VALUE_LIMIT} character(s)`,
      );
    }
    return [key, value];
  });
  return Object.fromEntries(entries);
}

/** Operations of zones and projects: running when they are answered, done whenever somebody looks. */
class ZoneOperations {
  readonly #context: GcpApiContext;
  readonly #known = new Map<string, object>();

  constructor(context: GcpApiContext) {
    this.#context = context;
  }

  begin(call: GcpCall, operationType: string, target: GcpInstance | undefined): object {
    const { random } = this.#context.world;
    const name = `operation-${random.uuid()}`;
    const place = target === undefined ? 'global' : `zones/${target.zone}`;
    const zone = `projects/${call.project.id}/${place}`;
    const operation = {
      kind: 'compute#operation',
      id: String(random.bytes(6).readUIntBE(0, 6)),
      name,
      ...(target === undefined ? {} : { zone: link(zone) }),
      operationType,
      targetLink: link(target === undefined ? `projects/${call.project.id}` : `${zone}/instances/${target.name}`),
      targetId: target?.id ?? call.project.number,
      user: call.caller.email,
      selfLink: link(`${zone}/operations/${name}`),
    };
    this.#known.set(name, { ...operation, status: 'DONE', progress: 100 });
    const [oldest = ''] = this.#known.keys();
    if (this.#known.size > OPERATIONS_KEPT) this.#known.delete(oldest);
    return { ...operation, status: 'RUNNING', progress: 0 };
  }

  read(call: GcpCall): object {
    const { operation = '', zone } = call.path;
    const found = this.#known.get(operation);
    const place = zone === undefined ? 'global' : `zones/${zone}`;
    if (found === undefined) throw faults.notFound(`projects/${call.project.id}/${place}/operations/${operation}`);
    return found;
  }
}
