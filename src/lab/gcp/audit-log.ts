import type { Millis } from '../../domain/millis.ts';
import { isoTime } from '../../runtime/iso-time.ts';
import type { World } from '../../runtime/world.ts';
import { LateEvents } from '../core/late-events.ts';

export interface TunnelAuthorization {
  readonly projectId: string;
  readonly email: string;
  readonly permission: string;
  /** `projects/NUMBER/iap_tunnel/…` */
  readonly resource: string;
  /** `iap.googleapis.com/TunnelInstance` */
  readonly resourceType: string;
  readonly granted: boolean;
  readonly ip: string | undefined;
  readonly port: number;
  readonly accessLevels: readonly string[];
  /** Of an instance. */
  readonly instance?: { readonly id: string; readonly zone: string };
}

export interface LogEntry {
  readonly insertId: string;
  readonly logName: string;
  readonly timestamp: string;
  readonly severity: string;
  readonly resource: { readonly type: string; readonly labels: Readonly<Record<string, string>> };
  readonly protoPayload: Readonly<Record<string, unknown>>;
}

/** Cloud Audit Logs of the lab: a Data Access entry for each websocket that the tunnel service decided about (docs/protocol/iap.md). */
export class AuditLog {
  readonly events = new LateEvents<LogEntry>();
  readonly #world: Pick<World, 'clock' | 'random'>;

  constructor(world: Pick<World, 'clock' | 'random'>) {
    this.#world = world;
  }

  authorizeUser(what: TunnelAuthorization): void {
    const at = this.#world.clock.wall();
    const denied = { status: { code: 7, message: 'Permission Denied.' } };
    const payload = {
      '@type': 'type.googleapis.com/google.cloud.audit.AuditLog',
      ...(what.granted ? {} : denied),
      authenticationInfo: { principalEmail: what.email },
      requestMetadata: {
        callerIp: '127.0.0.1',
        requestAttributes: { time: isoTime(at), auth: { accessLevels: what.accessLevels } },
        destinationAttributes: { ...(what.ip === undefined ? {} : { ip: what.ip }), port: String(what.port) },
      },
      serviceName: 'iap.googleapis.com',
      methodName: 'AuthorizeUser',
      authorizationInfo: [
        {
          resource: what.resource,
          permission: what.permission,
          granted: what.granted,
          resourceAttributes: { service: 'iap.googleapis.com', type: what.resourceType },
        },
      ],
      resourceName: what.instance?.id ?? what.resource,
      request: { '@type': 'type.googleapis.com/cloud.security.gatekeeper.AuthorizeUserRequest' },
      metadata: { request_id: String(this.#world.random.bytes(6).readUIntBE(0, 6)), device_state: 'Unknown' },
    };
    this.#add(at, what.projectId, 'data_access', what.granted ? 'INFO' : 'ERROR', resourceOf(what), payload);
  }

  /** Admin Activity: a policy was changed. */
  setIamPolicy(email: string, projectId: string, service: string, resource: string, request: object): void {
    const payload = {
      '@type': 'type.googleapis.com/google.cloud.audit.AuditLog',
      authenticationInfo: { principalEmail: email },
      serviceName: service,
      methodName:
        service === 'iap.googleapis.com'
          ? 'google.cloud.iap.v1.IdentityAwareProxyAdminService.SetIamPolicy'
          : 'SetIamPolicy',
      resourceName: resource,
      request,
    };
    const target = { type: 'project', labels: { project_id: projectId } };
    this.#add(this.#world.clock.wall(), projectId, 'activity', 'NOTICE', target, payload);
  }

  #add(
    at: Millis,
    projectId: string,
    log: 'data_access' | 'activity',
    severity: string,
    resource: LogEntry['resource'],
    protoPayload: LogEntry['protoPayload'],
  ): void {
    this.events.add(at, {
      insertId: this.#world.random.bytes(8).toString('hex'),
      logName: `projects/${projectId}/logs/cloudaudit.googleapis.com%2F${log}`,
      timestamp: isoTime(at),
      severity,
      resource,
      protoPayload,
    });
  }
}

function resourceOf({ projectId, instance }: TunnelAuthorization): LogEntry['resource'] {
  if (instance === undefined)
    return { type: 'audited_resource', labels: { project_id: projectId, service: 'iap.googleapis.com' } };
  return { type: 'gce_instance', labels: { instance_id: instance.id, project_id: projectId, zone: instance.zone } };
}
