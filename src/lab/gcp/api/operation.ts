import type { World } from '../../../runtime/world.ts';
import type { AuditLog } from '../audit-log.ts';
import type { GcpIam } from '../iam/gcp-iam.ts';
import type { GcpInstance, GcpInventory, GcpProject } from '../inventory.ts';
import type { OsLogin } from '../os-login.ts';
import type { AccessGrant, TokenStore } from '../token-store.ts';
import type { WrittenLog } from '../written-log.ts';

/** What every API of the lab is given. */
export interface GcpApiContext {
  readonly world: Pick<World, 'clock' | 'random' | 'log'>;
  readonly inventory: () => GcpInventory;
  /** For calls that change the cloud. */
  readonly change: (vary: (inventory: GcpInventory) => GcpInventory) => void;
  readonly tokens: TokenStore;
  readonly osLogin: OsLogin;
  /** Who may do what. */
  readonly iam: GcpIam;
  readonly audit: AuditLog;
  /** What others write to Cloud Logging. */
  readonly written: WrittenLog;
  /** Blob of the host key that a machine wrote into its guest attributes. */
  readonly publishedHostKey: (instance: GcpInstance) => Buffer | undefined;
  /** No page of a list is longer. */
  readonly pageLimit: number;
  /** `http://127.0.0.1:4711` */
  readonly url: () => string;
}

/** A call whose caller is known and may make it. */
export interface GcpCall {
  /** Named groups of the operation's path, decoded. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** JSON; undefined when there is none. */
  readonly body: Readonly<Record<string, unknown>> | undefined;
  readonly caller: AccessGrant;
  /** The project in the path, where there is one. */
  readonly project: GcpProject;
}

/** One method of one of Google's REST APIs. */
export interface GcpOperation {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Path with the service name in front, as `CLOUDTUN_GCP_ENDPOINT` asks for it; with the named group `project` where it has one. */
  readonly path: RegExp;
  /** `compute.instances.list`: what faults and the call log call it. */
  readonly action: string;
  /** `compute.googleapis.com` */
  readonly service: string;
  /** IAM permission and the resource it is needed on; absent where being signed in is enough. */
  readonly needs?: (path: Readonly<Record<string, string>>) => {
    readonly permission: string;
    readonly resource: string;
  };
  readonly run: (call: GcpCall) => object;
}

export const SERVICE_TITLES: Readonly<Record<string, string>> = {
  'compute.googleapis.com': 'Compute Engine API',
  'sqladmin.googleapis.com': 'Cloud SQL Admin API',
  'iap.googleapis.com': 'Cloud Identity-Aware Proxy API',
  'iamcredentials.googleapis.com': 'IAM Service Account Credentials API',
  'oslogin.googleapis.com': 'Cloud OS Login API',
  'cloudresourcemanager.googleapis.com': 'Cloud Resource Manager API',
  'iam.googleapis.com': 'Identity and Access Management (IAM) API',
  'secretmanager.googleapis.com': 'Secret Manager API',
  'logging.googleapis.com': 'Cloud Logging API',
  'serviceusage.googleapis.com': 'Service Usage API',
};
