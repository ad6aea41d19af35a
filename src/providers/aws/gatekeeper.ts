import { CloudtunError } from '../../domain/errors.ts';
import type { Principal } from '../../domain/grant.ts';
import type { Route } from '../../domain/target.ts';
import type { SsmSessionTicket, TicketSource } from '../../domain/ticket.ts';
import type { World } from '../../runtime/world.ts';
import type { AccessExplanation, Gatekeeper, Identity, LiveSession, SessionOptions } from '../provider.ts';
import type { AwsApi } from './aws-api.ts';
import { isAwsDocument, usualDocument } from './session-document.ts';
import { streamHostRules } from './stream-host.ts';
import { SsmTicketSource, terminateSession } from './tickets.ts';

/** By the start of a region's name; anything else is the public partition. */
const PARTITIONS: readonly (readonly [prefix: string, partition: string])[] = [
  ['cn-', 'aws-cn'],
  ['us-gov-', 'aws-us-gov'],
  ['us-iso-', 'aws-iso'],
  ['us-isob-', 'aws-iso-b'],
  ['eu-isoe-', 'aws-iso-e'],
  ['us-isof-', 'aws-iso-f'],
  ['eusc-', 'aws-eusc'],
];

export const partitionOf = (region: string) => PARTITIONS.find(([prefix]) => region.startsWith(prefix))?.[1] ?? 'aws';

/** `arn:aws:sts::1:assumed-role/readers/alice` → alice; a user's path is left out; the root user is `root`. */
export function nameFromArn(arn: string): string {
  const resource = arn.split(':').slice(5).join(':');
  return resource.split('/').at(-1) || arn;
}

/** The user, the role, and the permission set that Identity Center made a role for (`AWSReservedSSO_readers_0123456789abcdef`). */
export function principalsFromArn(arn: string): readonly Principal[] {
  const resource = arn.split(':').slice(5).join(':');
  const [kind, ...path] = resource.split('/');
  const principal = (called: string, name: string | undefined): readonly Principal[] =>
    name === undefined ? [] : [{ cloud: 'aws', kind: called, name }];
  if (kind === 'user') return principal('user', path.at(-1));
  if (kind !== 'assumed-role') return [];
  const [role] = path;
  const set = /^AWSReservedSSO_(.+)_[0-9a-f]{16}$/.exec(role ?? '')?.[1];
  return [...principal('permissionSet', set), ...principal('role', role)];
}

/** Nobody keeps more open; the list would go on otherwise as long as the service says so. */
const SESSION_LIMIT = 10_000;

export class AwsGatekeeper implements Gatekeeper {
  readonly #world: World;
  readonly #api: AwsApi;

  constructor(world: World, api: AwsApi) {
    this.#world = world;
    this.#api = api;
  }

  /** Asks STS, which answers everybody whose credentials are valid. */
  async whoami(signal: AbortSignal): Promise<Identity> {
    const call = { action: 'sts:GetCallerIdentity', doing: 'ask who we are' };
    const answer = await this.#api.sts(call, signal, (sdk, client, options) =>
      client.send(new sdk.GetCallerIdentityCommand({}), options),
    );
    const id = answer.Arn ?? '';
    const { source } = this.#api.credentials;
    return { id, account: answer.Account ?? '', name: nameFromArn(id), source, principals: principalsFromArn(id) };
  }

  /** @throws CT_USAGE when the reason is not 1 to 256 characters, CT_CONFIG when CLOUDTUN_SSMMESSAGES_ENDPOINT is no host */
  ticketSource(route: Route, options: SessionOptions): TicketSource<SsmSessionTicket> {
    const { reason } = options;
    if (reason !== undefined && (reason.length < 1 || reason.length > 256)) {
      throw new CloudtunError('CT_USAGE', `the reason has ${reason.length} characters`, {
        hint: 'AWS keeps 1 to 256 of them',
      });
    }
    const rules = streamHostRules(this.#world.env, this.#api.settings.endpoint('ssm'));
    return new SsmTicketSource(this.#world, this.#api, route, options, rules);
  }

  /** What IAM is asked, with `*` for the account, which is not known without a call. */
  explain(route: Route, options: SessionOptions): AccessExplanation {
    const { region } = this.#api;
    const arn = (service: string, resource: string, account = '*') =>
      `arn:${partitionOf(region)}:${service}:${region}:${account}:${resource}`;
    const { node } = route;
    const document = options.document ?? options.pinned?.document ?? usualDocument(route.to);
    const machine = node.id.startsWith('mi-')
      ? arn('ssm', `managed-instance/${node.id}`)
      : arn('ec2', `instance/${node.id}`);
    const session = arn('ssm', 'session/*');
    return {
      document,
      actions: [
        { action: 'ssm:StartSession', resource: machine },
        {
          action: 'ssm:StartSession',
          resource: arn('ssm', `document/${document}`, isAwsDocument(document) ? '' : '*'),
        },
        { action: 'ssmmessages:OpenDataChannel', resource: session },
        { action: 'ssm:ResumeSession', resource: session },
        { action: 'ssm:TerminateSession', resource: session },
      ],
    };
  }

  async liveSessions(signal: AbortSignal): Promise<readonly LiveSession[]> {
    const call = { action: 'ssm:DescribeSessions', doing: 'list the sessions that are open' };
    const sessions: LiveSession[] = [];
    let NextToken: string | undefined;
    do {
      const answer = await this.#api.ssm(call, signal, (sdk, client, options) =>
        client.send(new sdk.DescribeSessionsCommand({ State: 'Active', MaxResults: 200, NextToken }), options),
      );
      for (const { SessionId, Owner = '', Target = '', DocumentName, StartDate } of answer.Sessions ?? []) {
        if (SessionId === undefined) continue;
        sessions.push({
          id: SessionId,
          owner: Owner,
          target: Target,
          ...(DocumentName !== undefined && { document: DocumentName }),
          ...(StartDate !== undefined && { startedAt: StartDate.getTime() }),
        });
      }
      NextToken = answer.NextToken;
    } while (NextToken !== undefined && sessions.length < SESSION_LIMIT);
    return sessions;
  }

  endSession(sessionId: string, signal: AbortSignal): Promise<void> {
    return terminateSession(this.#api, sessionId, signal);
  }
}
