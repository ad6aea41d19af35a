import { fillDocument, type LabDocument, SHELL_DOCUMENT } from '../documents.ts';
import type { LabResource } from '../iam/iam-gate.ts';
import { type RegisteredNode, registeredNodes } from '../managed-nodes.ts';
import type { Session } from '../sessions.ts';
import { type ApiCall, type ApiContext, type JsonOperation, regionalInventory } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import type { JsonInput, JsonObject } from './json-input.ts';
import { takeJsonPage } from './paging.ts';
import { documentResource, findDocument } from './ssm-documents.ts';
import { nodeResource } from './ssm-instances.ts';

/** StartSession and its relatives (docs/protocol/ssm.md, "HTTP API side"). */
export function ssmSessionOperations(context: ApiContext): Readonly<Record<string, JsonOperation>> {
  const { sessions } = context;

  const connectedNode = (input: JsonInput, call: ApiCall): RegisteredNode => {
    const target = readTarget(input);
    const node = registeredNodes(regionalInventory(context, call)).find((one) => one.id === target);
    if (node?.isOnline && !context.isNodeDead(node.id)) return node;
    throw new AwsFault('TargetNotConnected', 400, `${target} is not connected.`);
  };
  const namedDocument = (input: JsonInput, call: ApiCall): LabDocument =>
    findDocument(regionalInventory(context, call), readDocumentName(input) ?? SHELL_DOCUMENT);

  const sessionResource = (input: JsonInput, call: ApiCall) => {
    const sessionId = readSessionId(input);
    const session = sessions.get(sessionId);
    if (session !== undefined) return [context.iam.sessionResource(session, call.region)];
    return [`arn:aws:ssm:${call.region}:${context.inventory().account}:session/${sessionId}`];
  };
  const targetResource = (input: JsonInput, call: ApiCall): LabResource =>
    nodeResource(regionalInventory(context, call), call.region, readTarget(input));

  return {
    StartSession: {
      resources: (input, call) => {
        const machine = targetResource(input, call);
        const name = readDocumentName(input);
        return name === undefined ? [machine] : [machine, documentResource(context, call, name)];
      },
      run: (input, call) => {
        const reason = input.text('Reason', { min: 1, max: 256 });
        const parameters = input.textListMap('Parameters');
        const document = namedDocument(input, call);
        const properties = fillDocument(document, parameters);
        const node = connectedNode(input, call);
        const grant = sessions.start({
          targetId: node.id,
          owner: call.key.principal.name,
          ownerArn: call.key.principal.arn,
          ownerId: call.key.principal.userId,
          documentName: document.name,
          sessionType: document.sessionType,
          properties,
          agentVersion: node.agent.version,
          ...(reason === undefined ? {} : { reason }),
        });
        return { SessionId: grant.sessionId, StreamUrl: grant.streamUrl, TokenValue: grant.tokenValue };
      },
    },
    ResumeSession: {
      resources: sessionResource,
      run: (input) => {
        const sessionId = readSessionId(input);
        const answer = sessions.resume(sessionId);
        if (answer.outcome === 'unknown') throw noSuchSession(sessionId);
        // Without a token: the session timed out.
        if (answer.outcome === 'expired') return { SessionId: answer.sessionId, StreamUrl: answer.streamUrl };
        const { grant } = answer;
        return { SessionId: grant.sessionId, TokenValue: grant.tokenValue, StreamUrl: grant.streamUrl };
      },
    },
    TerminateSession: {
      resources: sessionResource,
      run: (input) => {
        const sessionId = readSessionId(input);
        if (sessions.terminate(sessionId) === 'unknown') throw noSuchSession(sessionId);
        return { SessionId: sessionId };
      },
    },
    DescribeSessions: {
      run: (input) => {
        const state = input.requiredText('State', { pattern: /^(Active|History)$/ });
        const size = Math.min(input.integer('MaxResults', 1, 200) ?? 200, context.pageLimit);
        const filters = input.structures('Filters').map(readSessionFilter);
        const found = sessions
          .list(state === 'Active' ? 'Active' : 'History')
          .filter((session) => filters.every((fits) => fits(session)));
        const page = takeJsonPage(`ssm:DescribeSessions:${state}`, found, size, input);
        return { Sessions: page.items.map(describeSession), NextToken: page.next };
      },
    },
    GetConnectionStatus: {
      resources: (input, call) => [targetResource(input, call)],
      run: (input, call) => {
        const target = readTarget(input);
        const node = registeredNodes(regionalInventory(context, call)).find((one) => one.id === target);
        const isConnected = node?.isOnline === true && !context.isNodeDead(node.id);
        return { Target: target, Status: isConnected ? 'connected' : 'notconnected' };
      },
    },
  };
}

const readTarget = (input: JsonInput): string => input.requiredText('Target', { min: 1, max: 400 });
const readSessionId = (input: JsonInput): string => input.requiredText('SessionId', { min: 1, max: 96 });
const readDocumentName = (input: JsonInput): string | undefined =>
  input.text('DocumentName', { pattern: /^[a-zA-Z0-9_\-.:/]{3,128}$/ });

const noSuchSession = (sessionId: string): AwsFault =>
  new AwsFault('DoesNotExistException', 400, `Session with id ${sessionId} does not exist`);

/** A test for one filter; dates are ISO 8601. */
function readSessionFilter(filter: JsonInput): (session: Session) => boolean {
  const key = filter.requiredText('key', { pattern: /^(InvokedAfter|InvokedBefore|Target|Owner|Status|SessionId)$/ });
  const value = filter.requiredText('value', { min: 1, max: 400 });
  switch (key) {
    case 'InvokedAfter':
      return (session) => session.startedAt >= Date.parse(value);
    case 'InvokedBefore':
      return (session) => session.startedAt <= Date.parse(value);
    case 'Target':
      return (session) => session.targetId === value;
    case 'Owner':
      return (session) => session.ownerArn === value || session.owner === value;
    case 'Status':
      return (session) => session.status === value;
    default:
      return (session) => session.sessionId === value;
  }
}

function describeSession(session: Session): JsonObject {
  return {
    SessionId: session.sessionId,
    Target: session.targetId,
    Status: session.status,
    StartDate: session.startedAt / 1_000,
    EndDate: session.endedAt === undefined ? undefined : session.endedAt / 1_000,
    DocumentName: session.documentName,
    Owner: session.ownerArn,
    Reason: session.reason,
    OutputUrl: {},
    AccessType: 'Standard',
  };
}
