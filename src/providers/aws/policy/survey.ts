import { CloudtunError } from '../../../domain/errors.ts';
import type { Grant } from '../../../domain/grant.ts';
import { parseHopName } from '../../../domain/hop-name.ts';
import { type MachineTarget, targetLabel } from '../../../domain/target.ts';
import type { AwsApi } from '../aws-api.ts';
import { chooseBastion } from '../choose-bastion.ts';
import type { Database } from '../databases.ts';
import { lookUpDatabase } from '../find-database.ts';
import { findMachine } from '../find-machine.ts';
import { listInstances } from '../rds-listing.ts';
import {
  type AwsFacts,
  type MachineScope,
  machineScope,
  SSH_PORT,
  type SubjectFacts,
  secretArn,
  subjectKey,
} from './facts.ts';
import { sessionKey } from './session-key.ts';
import { sideBySide } from './side-by-side.ts';

/** Who the caller is, and the users that machines are logged in to as; a part of the provider. */
export interface SurveyParts {
  readonly api: AwsApi;
  readonly account: string;
  readonly partition: string;
  /** The user that a machine's image has, for a login that names none. */
  guessUser(api: AwsApi, machine: MachineTarget, signal: AbortSignal): Promise<{ user: string; reason: string }>;
}

/**
 * What stands behind the names of the catalogue: machines, endpoints, resource ids. Asks for each thing once.
 *
 * @throws CT_TARGET_NOT_FOUND, CT_TARGET_AMBIGUOUS, CT_NO_BASTION … with the grant that asks for it among the details
 */
export async function surveyAws(grants: readonly Grant[], parts: SurveyParts, signal: AbortSignal): Promise<AwsFacts> {
  const { api, account, partition } = parts;
  const things = [...new Map(grants.map((grant) => [subjectKey(grant), grant])).values()];
  const look = new Lookups(parts, signal);
  const found = await sideBySide(things, async (grant) => {
    // One name may be given by several verbs; only a login asks for a user.
    const hasLogins = gives(grants, grant.subject.name, 'ssh');
    return [subjectKey(grant), await askedFor(grant, () => look.subject(grant, hasLogins))] as const;
  });
  const subjects = new Map(found);
  const running = things.filter(({ verb, subject }) => verb === 'logs' || gives(grants, subject.name, 'run'));
  const regions = new Set(running.map((grant) => subjects.get(subjectKey(grant))!.region));
  const keys = await Promise.all(
    [...regions].map(async (region) => [region, await sessionKey(api.in(region), signal)] as const),
  );
  return {
    account,
    partition,
    region: api.region,
    subjects: Object.fromEntries(subjects),
    sessionKeys: Object.fromEntries(keys.flatMap(([region, key]) => (key === undefined ? [] : [[region, key]]))),
    isAssumed: false,
  };
}

const gives = (grants: readonly Grant[], name: string, wanted: Grant['verb']) =>
  grants.some(({ verb, subject }) => verb === wanted && subject.name === name);

/** The error with who asked for it. */
export async function askedFor<Result>({ team, verb, subject }: Grant, look: () => Promise<Result>): Promise<Result> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof CloudtunError) || error.code === 'CT_DENIED') throw error;
    throw new CloudtunError(error.code, error.message, {
      details: [...error.details, ['asked for', `team ${team}: ${verb} ${subject.name}`]],
      hint: error.hints,
      cause: error.cause ?? error,
    });
  }
}

/** Lookups of one survey; what was asked once is remembered. */
class Lookups {
  readonly #parts: SurveyParts;
  readonly #signal: AbortSignal;
  readonly #machines = new Map<string, Promise<MachineTarget>>();

  constructor(parts: SurveyParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
  }

  async subject({ verb, subject }: Grant, hasLogins: boolean): Promise<SubjectFacts> {
    const api = this.#parts.api.in(subject.place.region ?? this.#parts.api.region);
    const { region } = api;
    if (subject.database !== undefined) return this.#database(api, subject);
    // Commands and logs need the agent of the machine itself, whatever tunnels go through.
    const own = subject.isMachine && verb === 'logs' ? subject.host : undefined;
    const text = own ?? subject.machine;
    if (text === undefined) throw new CloudtunError('CT_INTERNAL', `${subject.name} names no machine`);
    const { scope, label, remarks } = await this.#machine(api, text);
    const base = { region, machine: scope, machineLabel: label, remarks };
    if (verb === 'logs') return base;
    const to = await this.#farEnd(api, subject);
    const login = hasLogins ? await this.#login(api, subject, text) : {};
    return { ...base, ...(to !== undefined && { to }), ...login, remarks: [...remarks, ...(login.remarks ?? [])] };
  }

  /** Where tunnels go, as the first machine sees it. */
  async #farEnd(api: AwsApi, { host, port, hops, isMachine }: Grant['subject']): Promise<SubjectFacts['to']> {
    const [hop] = hops ?? [];
    if (hop !== undefined) {
      const { text, port: sshd = SSH_PORT } = parseHopName(hop);
      return { host: text, port: sshd };
    }
    const far = port === undefined ? undefined : { port };
    if (host === undefined) return far;
    if (!isMachine) return { host, port: port ?? SSH_PORT };
    const { privateIp } = await this.#find(api, host);
    return { host: privateIp ?? host, port: port ?? SSH_PORT };
  }

  /** Which machine is logged in to, and as whom where nobody says it. */
  async #login(
    api: AwsApi,
    { user, host, isMachine }: Grant['subject'],
    machine: string,
  ): Promise<Pick<SubjectFacts, 'osUser' | 'login' | 'sshd' | 'remarks'>> {
    const inner = isMachine ? host : undefined;
    const login = inner === undefined ? {} : await this.#inner(api, inner);
    if (user !== undefined) return { ...login, osUser: user };
    const guess = await this.#parts.guessUser(api, await this.#find(api, inner ?? machine), this.#signal);
    return { ...login, osUser: guess.user, remarks: [`logins are as ${guess.user}: ${guess.reason}`] };
  }

  /** A machine behind the one that sessions go to. */
  async #inner(api: AwsApi, name: string): Promise<Pick<SubjectFacts, 'login' | 'sshd'>> {
    const { privateIp, id } = await this.#find(api, name);
    return { login: { kind: 'id', id }, sshd: { host: privateIp ?? name, port: SSH_PORT } };
  }

  async #database(api: AwsApi, subject: Grant['subject']): Promise<SubjectFacts> {
    const database = await lookUpDatabase(api, subject.database!, { reader: subject.reader === true }, this.#signal);
    const { target } = database;
    const { endpoint } = target;
    if (endpoint.host === '') {
      throw new CloudtunError(
        'CT_TARGET_STOPPED',
        `${target.id} has no endpoint yet: its status is "${target.status}"`,
        {
          hint: 'wait until it is available',
        },
      );
    }
    const to = subject.hops?.[0] === undefined ? endpoint : await this.#farEnd(api, subject);
    const { machine, machineLabel, remarks } = await this.#wayTo(api, database, subject.machine);
    const { partition, account } = this.#parts;
    return {
      region: api.region,
      machine,
      machineLabel,
      remarks,
      ...(to !== undefined && { to }),
      ...(subject.iamAuth && { databaseIds: await this.#resourceIds(api, database) }),
      ...(subject.secret !== undefined && {
        secretArn: secretArn(subject.secret, `arn:${partition}:secretsmanager:${api.region}:${account}`),
      }),
    };
  }

  async #wayTo(api: AwsApi, { target }: Database, via: string | undefined) {
    if (via !== undefined) {
      const { scope, label, remarks } = await this.#machine(api, via);
      return { machine: scope, machineLabel: label, remarks };
    }
    const { node, reasons } = await chooseBastion(api, target, target.endpoint.port, this.#signal);
    const label = targetLabel(node);
    const machine: MachineScope = { kind: 'id', id: node.id };
    const why = `${label} was chosen, because no via is given: ${reasons[0] ?? 'it reaches the database'}`;
    return { machine, machineLabel: label, remarks: [why] };
  }

  /** Members of a cluster take logins for the cluster. */
  async #resourceIds(api: AwsApi, { target, resourceId, clusterId }: Database): Promise<readonly string[]> {
    const own = resourceId === undefined ? [] : [resourceId];
    if (target.flavour !== 'instance') return own;
    const cluster =
      clusterId ??
      (await listInstances(api, { DBInstanceIdentifier: target.id }, this.#signal))[0]?.DBClusterIdentifier;
    if (!cluster) return own;
    const found = await lookUpDatabase(api, cluster, {}, this.#signal);
    return [...own, ...(found.resourceId === undefined ? [] : [found.resourceId])];
  }

  async #machine(
    api: AwsApi,
    text: string,
  ): Promise<{ readonly scope: MachineScope; readonly label: string; readonly remarks: readonly string[] }> {
    const scope = machineScope(text);
    if (scope.kind === 'id') {
      const found = await this.#find(api, text);
      return { scope: { kind: 'id', id: found.id }, label: targetLabel(found), remarks: [] };
    }
    // A role that machines play: that nobody plays it now does not change who may do what.
    const label = text.replace(/^aws:/, '');
    const found = await this.#find(api, text).catch((error: unknown) => {
      if (error instanceof CloudtunError && error.code === 'CT_TARGET_NOT_FOUND') return undefined;
      throw error;
    });
    return { scope, label, remarks: found === undefined ? [`no machine is ${label} now`] : [] };
  }

  #find(api: AwsApi, text: string): Promise<MachineTarget> {
    const key = `${api.region} ${text}`;
    const known = this.#machines.get(key) ?? findMachine(api, text, { mustBeOnline: false }, this.#signal);
    this.#machines.set(key, known);
    return known;
  }
}
