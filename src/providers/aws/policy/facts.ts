import type { Grant } from '../../../domain/grant.ts';
import { partitionOf } from '../gatekeeper.ts';

/** What a statement names as the machine that sessions go to. */
export type MachineScope =
  /** `i-…`, `mi-…`: this one and no other. */
  | { readonly kind: 'id'; readonly id: string }
  /** Whatever carries the tag: replaceable machines (iam.md 4.3, rule 4). */
  | { readonly kind: 'tag'; readonly key: string; readonly value: string };

/** What one target or log of the catalogue stands for. */
export interface SubjectFacts {
  readonly region: string;
  readonly machine: MachineScope;
  /** For people: `bastion-a`. */
  readonly machineLabel: string;
  /** Where the tunnel goes, as the machine sees it; without a host: a port of the machine. */
  readonly to?: { readonly host?: string; readonly port: number };
  /** Where its sshd is, as the machine that sessions go to sees it; port 22 of that machine when absent. */
  readonly sshd?: { readonly host?: string; readonly port: number };
  /** Resource ids of RDS that logins of a token are for: `db-…`, `cluster-…`, `prx-…`. */
  readonly databaseIds?: readonly string[];
  /** Who is logged in as, of the machine. */
  readonly osUser?: string;
  /** The machine that keys are shown to, where it is another one than sessions go to. */
  readonly login?: MachineScope;
  readonly secretArn?: string;
  /** What a reader should know: `bastion-a was chosen: it is in the same network`. */
  readonly remarks?: readonly string[];
}

/** What drafts for one account need. */
export interface AwsFacts {
  readonly account: string;
  readonly partition: string;
  /** Where identities are asked and documents without a region of their own go. */
  readonly region: string;
  /** By `subjectKey`. */
  readonly subjects: Readonly<Record<string, SubjectFacts>>;
  /** The KMS key, as the account's Session Manager preferences have it, that sessions are encrypted with; by region. */
  readonly sessionKeys?: Readonly<Record<string, string>>;
  /** Stand-ins: nobody was asked. */
  readonly isAssumed: boolean;
}

/** Which facts belong to a grant: a log is another thing than a target of the same name. */
export function subjectKey({ verb, subject }: Pick<Grant, 'verb' | 'subject'>): string {
  return `${verb === 'logs' ? 'log' : 'target'} ${subject.name}`;
}

/** The account that stands for one that nobody asked for. */
const NO_ACCOUNT = '000000000000';
const USUAL_REGION = 'us-east-1';
/** Of a database that nobody asked about. */
const ASSUMED_PORT = 3_306;
export const SSH_PORT = 22;

/** The tag that EC2 Auto Scaling puts on its machines; nobody else can, the prefix is reserved. */
const GROUP_TAG = 'aws:autoscaling:groupName';

/** `tag:role=bastion` and `asg:web` → the tag, anything else is an id or a name that stands for one. */
export function machineScope(written: string): MachineScope {
  const text = written.replace(/^aws:/, '');
  if (text.startsWith('asg:')) return { kind: 'tag', key: GROUP_TAG, value: text.slice(4) };
  const [, key, value] = /^tag:([^=]+)=(.*)$/s.exec(text) ?? [];
  return key === undefined || value === undefined ? { kind: 'id', id: text } : { kind: 'tag', key, value };
}

/** Secrets Manager adds six characters of its own to every name. @param place `arn:aws:secretsmanager:REGION:ACCOUNT` */
export const secretArn = (name: string, place: string) =>
  name.startsWith('arn:') ? name : `${place}:secret:${name}-??????`;

/** Facts without asking: ids and endpoints made of the catalogue's names, in an account that there is not. */
export function assumedFacts(grants: readonly Grant[]): AwsFacts {
  const region = grants.find(({ subject }) => subject.place.region)?.subject.place.region ?? USUAL_REGION;
  const subjects = grants.map((grant) => [subjectKey(grant), assumedSubject(grant, region)] as const);
  return {
    account: NO_ACCOUNT,
    partition: partitionOf(region),
    region,
    subjects: Object.fromEntries(subjects),
    isAssumed: true,
  };
}

function assumedSubject({ verb, subject }: Grant, fallback: string): SubjectFacts {
  const region = subject.place.region ?? fallback;
  const text = subject.machine ?? `bastion-of-${subject.database ?? subject.name}`;
  const scope = machineScope(text);
  const base: SubjectFacts = {
    region,
    machine: scope.kind === 'id' && !/^m?i-/.test(text) ? { kind: 'id', id: `i-${text}` } : scope,
    machineLabel: text,
    ...(subject.user !== undefined && subject.database === undefined && { osUser: subject.user }),
    ...(subject.secret !== undefined && {
      secretArn: secretArn(subject.secret, `arn:${partitionOf(region)}:secretsmanager:${region}:${NO_ACCOUNT}`),
    }),
  };
  if (verb === 'logs') return base;
  if (subject.database === undefined)
    return {
      ...base,
      ...(subject.isMachine && subject.host !== undefined && { sshd: { host: subject.host, port: SSH_PORT } }),
      to: { ...(subject.host !== undefined && { host: subject.host }), port: subject.port ?? 0 },
    };
  return {
    ...base,
    to: { host: `${subject.database}.${region}.rds.amazonaws.com`, port: ASSUMED_PORT },
    databaseIds: [`db-of-${subject.database}`],
  };
}
