import type { Grant } from '../../../domain/grant.ts';

/** How Identity-Aware Proxy reaches what a subject stands for. */
export type TunnelWay =
  /** A port of a machine. */
  | {
      readonly kind: 'instance';
      readonly zone: string;
      readonly instance: string;
      /** Whoever logs in acts as it (`roles/iam.serviceAccountUser`). */
      readonly serviceAccount?: string;
    }
  /** A host that a destination group holds. */
  | {
      readonly kind: 'group';
      readonly region: string;
      readonly network: string;
      readonly group: string;
      /** An address or a name, as the network sees it. */
      readonly host: string;
      /** No group holds it yet, so one of ours is to. */
      readonly isOurs: boolean;
    };

/** What one target or log of the catalogue stands for. */
export interface SubjectFacts {
  /** Where the resources are; the project of the draft, or another one. */
  readonly project: string;
  readonly way: TunnelWay;
  /** For people: `bastion-g`. */
  readonly label: string;
  /** The port that is reached by the tunnel itself; behind a login: the one of the machine's sshd. */
  readonly port: number;
  /** What is asked for lies behind a login to the machine: the tunnel service does not reach it. */
  readonly isBehindLogin: boolean;
  /** `reports`: an instance of Cloud SQL. */
  readonly sqlInstance?: string;
  /** Of Secret Manager, by name. */
  readonly secret?: string;
  readonly remarks?: readonly string[];
  /** False: its sshd takes keys of the metadata, to which OS Login gives nothing. */
  readonly hasOsLogin?: false;
}

/** What drafts for one project need. */
export interface GcpFacts {
  readonly project: string;
  /** By `subjectKey`. */
  readonly subjects: Readonly<Record<string, SubjectFacts>>;
  /** Stand-ins: nobody was asked. */
  readonly isAssumed: boolean;
  /** Whether Data Access logs of Identity-Aware Proxy are on; undefined: not known. */
  readonly isLogged?: boolean;
}

export const SSH_PORT = 22;
const NO_PROJECT = 'project-of-nobody';
const USUAL_ZONE = 'us-central1-a';
/** Of a database that nobody asked about. */
const ASSUMED_PORT = 5_432;

/**
 * Which facts belong to a grant: a log is another thing than a target of the same name, and a login to a machine goes to another port
 * than what is opened on it.
 */
export function subjectKey({ verb, subject }: Pick<Grant, 'verb' | 'subject'>): string {
  const kind = verb === 'logs' ? 'log' : verb === 'connect' ? 'port' : 'login';
  return `${kind} ${subject.name}`;
}

/** Whether a verb on a subject needs a login to a machine, and not a port alone. */
export function needsLogin({ verb, subject }: Pick<Grant, 'verb' | 'subject'>): boolean {
  if (verb !== 'connect') return true;
  if (subject.database !== undefined && subject.machine !== undefined) return subject.machinePort === undefined;
  return (subject.hops?.length ?? 0) > 0 || (subject.host !== undefined && subject.machine !== undefined);
}

/** Facts without asking: addresses and zones made of the catalogue's names. */
export function assumedFacts(grants: readonly Grant[]): GcpFacts {
  const project = grants.find(({ subject }) => subject.place.project)?.subject.place.project ?? NO_PROJECT;
  const subjects = grants.map((grant) => [subjectKey(grant), assumedSubject(grant, project)] as const);
  return { project, subjects: Object.fromEntries(subjects), isAssumed: true };
}

function assumedSubject(grant: Grant, fallback: string): SubjectFacts {
  const { verb, subject } = grant;
  const project = subject.place.project ?? fallback;
  const zone = subject.place.zone ?? USUAL_ZONE;
  const region = subject.place.region ?? zone.replace(/-[a-z]$/, '');
  const secret = subject.secret === undefined ? {} : { secret: subject.secret };
  const [, host, at] = /^([^@]+?)(?::\d+)?@(.+)$/.exec(subject.machine ?? '') ?? [];
  if (host !== undefined && at !== undefined) {
    const [where = region, network = 'default', group = host] = at.split('/');
    const port = subject.port ?? Number(/:(\d+)@/.exec(subject.machine ?? '')?.[1] ?? 0);
    const way = { kind: 'group', region: where, network, group, host, isOurs: false } as const;
    return { project, way, label: host, port, isBehindLogin: false, ...secret };
  }
  if (subject.database !== undefined && subject.machine === undefined) {
    const name = subject.database.split(':').at(-1)!;
    const way = {
      kind: 'group',
      region,
      network: 'default',
      group: `group-of-${name}`,
      host: `address-of-${name}`,
      isOurs: false,
    } as const;
    return { project, way, label: name, port: ASSUMED_PORT, isBehindLogin: false, sqlInstance: name, ...secret };
  }
  const text = subject.machine ?? subject.name;
  const [instance = text] = text.split('/').reverse();
  const isBehindLogin = needsLogin(grant);
  const usual = subject.machinePort ?? subject.port ?? SSH_PORT;
  return {
    project,
    way: { kind: 'instance', zone: text.split('/').at(-2) ?? zone, instance },
    label: instance,
    port: isBehindLogin || verb !== 'connect' ? SSH_PORT : usual,
    isBehindLogin,
    ...(subject.database !== undefined && { sqlInstance: subject.database.split(':').at(-1)! }),
    ...secret,
  };
}
