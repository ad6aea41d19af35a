import type { IamContext } from '../../../onboarding/core/iam-context.ts';
import type { World } from '../../../runtime/world.ts';
import type { IamGate, LabResource } from '../iam/iam-gate.ts';
import type { Inventory } from '../inventory.ts';
import type { KeyRing, LabKey } from '../principals.ts';
import type { SessionStore } from '../sessions.ts';
import type { JsonInput, JsonObject } from './json-input.ts';
import type { QueryParameters } from './query-parameters.ts';
import type { XmlObject } from './xml.ts';

/** What the APIs read and change. */
export interface ApiContext {
  readonly world: Pick<World, 'clock' | 'random'>;
  /** Asked at every call: it may change while the lab runs. */
  readonly inventory: () => Inventory;
  readonly keys: KeyRing;
  readonly sessions: SessionStore;
  /** For calls that change the account. */
  readonly change: (vary: (inventory: Inventory) => Inventory) => void;
  /** Who may do what. */
  readonly iam: IamGate;
  /** Fault knob: its agent is gone. */
  readonly isNodeDead: (nodeId: string) => boolean;
  /** Pages are never longer than this, whatever a caller asks for: AWS may give short pages too, and clients forget it. */
  readonly pageLimit: number;
}

/** A call whose signature was right. */
export interface ApiCall {
  readonly key: LabKey;
  /** The region it was signed for; resources of another region are not seen. */
  readonly region: string;
}

export interface Operation<Input, Output> {
  run(input: Input, call: ApiCall): Output | Promise<Output>;
  /** What the caller must be allowed to use; default: the service as a whole. */
  readonly resources?: (input: Input, call: ApiCall) => readonly (string | LabResource)[];
  /** Condition keys that the request itself brings. */
  readonly context?: (input: Input) => IamContext;
}

export type JsonOperation = Operation<JsonInput, JsonObject>;
export type QueryOperation = Operation<QueryParameters, XmlObject>;

interface ServiceNames {
  /** As in the credential scope, and before the colon of IAM actions. */
  readonly name: string;
}

/** JSON 1.1, routed by X-Amz-Target. */
export interface JsonService extends ServiceNames {
  readonly protocol: 'json';
  readonly targetPrefix: string;
  readonly operations: Readonly<Record<string, JsonOperation>>;
}

/** EC2 or query protocol, routed by Action and Version. */
export interface QueryService extends ServiceNames {
  readonly protocol: 'ec2' | 'query';
  readonly version: string;
  readonly namespace: string;
  readonly operations: Readonly<Record<string, QueryOperation>>;
  /** Operations that come without a signature. */
  readonly unsigned?: Readonly<Record<string, { run(input: QueryParameters): XmlObject }>>;
}

export type ApiService = JsonService | QueryService;

/** The inventory as a call of this region sees it: what is regional is elsewhere for every other region. */
export function regionalInventory(context: ApiContext, call: ApiCall): Inventory {
  const inventory = context.inventory();
  if (call.region === inventory.region) return inventory;
  const nothing = {
    vpcs: [],
    subnets: [],
    networkAcls: [],
    securityGroups: [],
    instances: [],
    hybridNodes: [],
    hosts: [],
    databases: [],
    clusters: [],
    proxies: [],
    keys: [],
  };
  return {
    ...inventory,
    region: call.region,
    ...nothing,
    documents: inventory.documents.filter((one) => one.owner === 'Amazon'),
  };
}
