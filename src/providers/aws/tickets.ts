import type { RemoteEndpoint } from '../../domain/endpoint.ts';
import { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { Secret } from '../../domain/secret.ts';
import { type Route, targetLabel } from '../../domain/target.ts';
import type { SsmSessionTicket, TicketSource } from '../../domain/ticket.ts';
import { withDeadline } from '../../runtime/deadline.ts';
import type { World } from '../../runtime/world.ts';
import type { SessionOptions } from '../provider.ts';
import type { AwsApi } from './aws-api.ts';
import { awsErrorName } from './aws-errors.ts';
import { startPinned } from './pinned-start.ts';
import { plannedFrom, type SessionPlan, usualDocument, usualPlan } from './session-document.ts';
import { type StreamHostRules, streamUrlToDial } from './stream-host.ts';

/** Guessed: a person who pressed Ctrl-C should not wait longer for the cloud to say goodbye. */
const RELEASE_WITHIN: Millis = 5_000;
/** What StartSession may answer when parameters were sent that a document does not have. */
const PARAMETER_ERRORS = ['InvalidParameters', 'ValidationException'];
const GONE = ['DoesNotExistException'];

/** Ends a session; resolves also when it is gone. @throws CT_DENIED, CT_NETWORK … */
export async function terminateSession(api: AwsApi, sessionId: string, signal: AbortSignal): Promise<void> {
  const call = {
    action: 'ssm:TerminateSession',
    resource: `session/${sessionId}`,
    doing: `end the session ${sessionId}`,
  };
  try {
    await api.ssm(call, signal, (sdk, client, options) =>
      client.send(new sdk.TerminateSessionCommand({ SessionId: sessionId }), options),
    );
  } catch (error) {
    if (!GONE.includes(awsErrorName(error) ?? '')) throw error;
  }
}

/**
 * Permission to dial along one route, for the life of a tunnel: StartSession, ResumeSession, TerminateSession and the signed upgrade
 * (docs/protocol/ssm.md, "HTTP API side", "Signed upgrade").
 */
export class SsmTicketSource implements TicketSource<SsmSessionTicket> {
  readonly kind = 'ssm-session';
  /** Absent when CLOUDTUN_SSM_SIGN_UPGRADE=0 turns it off. */
  readonly signUpgrade?: (url: URL) => Promise<Record<string, string>>;
  readonly #world: World;
  readonly #api: AwsApi;
  readonly #route: Route;
  readonly #options: SessionOptions;
  readonly #hosts: StreamHostRules;
  /** The pinned document did not do, and the usual one did. */
  #isUnpinned = false;
  readonly #released = new Map<string, Promise<void>>();

  constructor(world: World, api: AwsApi, route: Route, options: SessionOptions, hosts: StreamHostRules) {
    this.#world = world;
    this.#api = api;
    this.#route = route;
    this.#options = options;
    this.#hosts = hosts;
    if (!['0', 'false', 'no', 'off'].includes(world.env.CLOUDTUN_SSM_SIGN_UPGRADE?.toLowerCase() ?? '')) {
      this.signUpgrade = (url) => this.#sign(url);
    }
  }

  async issue(to: RemoteEndpoint, signal: AbortSignal): Promise<SsmSessionTicket> {
    const { document, pinned } = this.#options;
    const usual = () => this.#start(usualPlan(usualDocument(to), to), to, signal);
    if (document === undefined) {
      if (pinned === undefined || this.#isUnpinned) return usual();
      const begun = await startPinned(this.#api, pinned, to, signal, {
        start: (plan) => this.#start(plan, to, signal),
        end: ({ sessionId }) => this.#endQuietly(sessionId),
        usual,
      });
      this.#isUnpinned = begun.document !== pinned.document;
      return begun;
    }
    const plan = await plannedFrom(this.#api, document, to, signal);
    if (plan !== undefined) return this.#start(plan, to, signal);
    try {
      return await this.#start(usualPlan(document, to), to, signal);
    } catch (error) {
      // It may not be read and does not take our parameters: then it is one that fixes its destination.
      if (!PARAMETER_ERRORS.includes(awsErrorName(error) ?? '')) throw error;
      return this.#start({ documentName: document, parameters: {} }, to, signal);
    }
  }

  async #start(plan: SessionPlan, to: RemoteEndpoint, signal: AbortSignal): Promise<SsmSessionTicket> {
    const { node } = this.#route;
    const { reason } = this.#options;
    const kind = node.id.startsWith('mi-') ? 'managed-instance' : 'instance';
    const call = {
      action: 'ssm:StartSession',
      resource: `${kind}/${node.id} and document/${plan.documentName}`,
      doing: `start a session on ${targetLabel(node)} with document ${plan.documentName}`,
    };
    const answer = await this.#api.ssm(call, signal, (sdk, client, options) =>
      client.send(
        new sdk.StartSessionCommand({
          Target: node.id,
          DocumentName: plan.documentName,
          ...(Object.keys(plan.parameters).length > 0 ? { Parameters: plan.parameters } : {}),
          ...(reason === undefined ? {} : { Reason: reason }),
        }),
        options,
      ),
    );
    const { SessionId: sessionId, StreamUrl: streamUrl, TokenValue: token } = answer;
    if (!sessionId || !streamUrl || !token) throw incomplete('StartSession');
    try {
      const url = streamUrlToDial(streamUrl, this.#hosts);
      const document = plan.documentName;
      return { kind: this.kind, sessionId, streamUrl: url, token: new Secret(token), targetId: node.id, document, to };
    } catch (error) {
      await this.#endQuietly(sessionId);
      throw error;
    }
  }

  async renew(ticket: SsmSessionTicket, signal: AbortSignal): Promise<SsmSessionTicket | undefined> {
    // A tunnel outlives credentials, and other programs renew them: what was good an hour ago must not be believed.
    await this.#api.credentials.fresh();
    const { sessionId } = ticket;
    const call = {
      action: 'ssm:ResumeSession',
      resource: `session/${sessionId}`,
      doing: `resume the session ${sessionId}`,
    };
    try {
      const answer = await this.#api.ssm(call, signal, (sdk, client, options) =>
        client.send(new sdk.ResumeSessionCommand({ SessionId: sessionId }), options),
      );
      // No token: timed out. The URL of the start stays good, and is the only one the vendor's client ever uses.
      return answer.TokenValue ? { ...ticket, token: new Secret(answer.TokenValue) } : undefined;
    } catch (error) {
      if (GONE.includes(awsErrorName(error) ?? '')) return undefined;
      throw error;
    }
  }

  release(ticket: SsmSessionTicket): Promise<void> {
    const { sessionId } = ticket;
    const known = this.#released.get(sessionId);
    if (known !== undefined) return known;
    const releasing = withDeadline(this.#world.clock, RELEASE_WITHIN, (signal) =>
      terminateSession(this.#api, sessionId, signal),
    ).catch((error: unknown) => {
      this.#released.delete(sessionId);
      if (error instanceof CloudtunError) throw error;
      throw new CloudtunError(
        'CT_TIMEOUT',
        `the session ${sessionId} could not be ended in ${RELEASE_WITHIN / 1_000} s`,
        {
          hint: 'AWS ends it by itself after its idle time-out (20 minutes unless set otherwise)',
          cause: error,
        },
      );
    });
    this.#released.set(sessionId, releasing);
    return releasing;
  }

  /** Who was denied the websocket; or that the credentials are none any more, which the gateway refuses in the same way. */
  async diagnose(error: CloudtunError, _to: RemoteEndpoint, signal: AbortSignal): Promise<CloudtunError> {
    if (error.code !== 'CT_DENIED') return error;
    try {
      const identity = await this.#api.identity(signal);
      if (identity === undefined) return error;
      return new CloudtunError('CT_DENIED', `${identity.name} may not open the data channel of the session`, {
        details: [['identity', `${identity.id} (${identity.source})`], ...error.details],
        hint: error.hints,
        cause: error,
      });
    } catch (thrown) {
      const isOfCredentials = thrown instanceof CloudtunError && thrown.exitCode === 3;
      return isOfCredentials ? thrown : error;
    }
  }

  async #endQuietly(sessionId: string): Promise<void> {
    await withDeadline(this.#world.clock, RELEASE_WITHIN, (signal) =>
      terminateSession(this.#api, sessionId, signal),
    ).catch(() =>
      this.#world.log.warn(`the session ${sessionId} could not be ended; AWS ends it after its idle time-out`),
    );
  }

  async #sign(url: URL): Promise<Record<string, string>> {
    try {
      const { upgradeHeaders } = await import('./sign-upgrade.ts');
      const credentials = await this.#api.credentials.current();
      return await upgradeHeaders(url, this.#api.region, credentials, this.#world.clock.wall());
    } catch (error) {
      const why =
        error instanceof CloudtunError ? error.message : error instanceof Error ? error.name : 'unknown error';
      this.#world.log.warn(`the websocket is opened unsigned: ${why}`);
      return {};
    }
  }
}

function incomplete(operation: string): CloudtunError {
  return new CloudtunError('CT_SERVICE', `AWS answered ${operation} without a session, an address or a token`, {
    hint: 'try again; if it stays, look at the health of the AWS region',
  });
}
