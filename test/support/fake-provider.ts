import type { CloudtunError } from '../../src/domain/errors.ts';
import { Secret } from '../../src/domain/secret.ts';
import type { DatabaseTarget, MachineTarget, Route } from '../../src/domain/target.ts';
import type { SsmSessionTicket, TicketSource } from '../../src/domain/ticket.ts';
import type { Gatekeeper, Identity, Provider, SessionOptions } from '../../src/providers/provider.ts';

export const BASTION: MachineTarget = {
  kind: 'machine',
  provider: 'aws',
  id: 'i-0bastion',
  name: 'bastion-a',
  state: 'running',
  online: true,
};

export const ORDERS: DatabaseTarget = {
  kind: 'database',
  provider: 'aws',
  id: 'orders-prod',
  flavour: 'instance',
  engine: 'mysql',
  engineLabel: 'MySQL 8.0',
  endpoint: { host: 'orders-prod.example.com', port: 3306 },
  available: true,
  status: 'available',
  subnetIds: [],
  securityGroupIds: [],
};

export const ALICE: Identity = {
  id: 'arn:aws:sts::111122223333:assumed-role/readers/alice',
  account: '111122223333',
  name: 'alice',
  source: 'profile prod',
};

/** A cloud with one bastion and one database; a test replaces what it is about. */
export class FakeProvider implements Provider {
  readonly id = 'aws';
  readonly label = 'aws prod/ap-northeast-1';
  readonly scope = 'ap-northeast-1';
  readonly region = 'ap-northeast-1';
  readonly profile: string | undefined = 'prod';
  readonly hasSessionDocuments = true;
  /** What was asked, in order. */
  readonly calls: string[] = [];
  node: MachineTarget = BASTION;
  identity: () => Promise<Identity> = async () => ALICE;
  /** Thrown by the next calls, by method name. */
  readonly failures = new Map<string, CloudtunError>();
  readonly running = new Set<string>();
  readonly options: SessionOptions[] = [];
  #sessions = 0;

  readonly finder: Provider['finder'] = {
    list: async () => [],
    findMachine: async (text) => {
      this.#call(`findMachine ${text}`);
      return this.node;
    },
    findDatabase: async (text, { reader }) => {
      this.#call(`findDatabase ${text}${reader ? ' reader' : ''}`);
      return ORDERS;
    },
    routeTo: async (target, port, { via, host }): Promise<Route> => {
      this.#call(`routeTo ${target.id} ${port}${via ? ` via ${via}` : ''}${host ? ` host ${host}` : ''}`);
      const to = target.kind === 'database' ? target.endpoint : host === undefined ? { port } : { host, port };
      return { provider: 'aws', target, node: this.node, to, reasons: ['it is the only one'], rejected: [] };
    },
  };

  readonly gatekeeper: Omit<Gatekeeper, 'ticketSource'> & {
    ticketSource(route: Route, options: SessionOptions): TicketSource<SsmSessionTicket>;
  } = {
    whoami: async () => {
      this.#call('whoami');
      return this.identity();
    },
    explain: () => ({ document: 'AWS-StartPortForwardingSessionToRemoteHost', actions: [] }),
    endSession: async (sessionId) => {
      this.#call(`endSession ${sessionId}`);
      this.running.delete(sessionId);
    },
    ticketSource: (route, options) => {
      this.options.push(options);
      return {
        kind: 'ssm-session',
        issue: async (to) => {
          this.#call(`issue ${route.node.id}`);
          this.#sessions += 1;
          const sessionId = `alice-${this.#sessions}`;
          this.running.add(sessionId);
          return ticket(sessionId, route.node.id, to);
        },
        renew: async (old) => old,
        release: async (old) => {
          this.#call(`release ${old.sessionId}`);
          this.running.delete(old.sessionId);
        },
      };
    },
  };

  async [Symbol.asyncDispose](): Promise<void> {}

  #call(call: string): void {
    this.calls.push(call);
    const failure = this.failures.get(call.split(' ')[0]!);
    if (failure) throw failure;
  }
}

function ticket(sessionId: string, targetId: string, to: SsmSessionTicket['to']): SsmSessionTicket {
  return {
    kind: 'ssm-session',
    sessionId,
    streamUrl: 'wss://ssmmessages.ap-northeast-1.amazonaws.com/v1/data-channel/x',
    token: new Secret('token-that-nobody-may-see'),
    targetId,
    to,
  };
}
