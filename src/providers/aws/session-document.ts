import { formatEndpoint, type RemoteEndpoint } from '../../domain/endpoint.ts';
import { CloudtunError } from '../../domain/errors.ts';
import type { AwsApi } from './aws-api.ts';
import { awsErrorName } from './aws-errors.ts';

/** What StartSession is told to run (docs/protocol/ssm.md, "Documents"). */
export interface SessionPlan {
  readonly documentName: string;
  /** Every value is a list of one string; a plain string would break the agent's port plugin. */
  readonly parameters: Record<string, string[]>;
}

const TO_NODE = 'AWS-StartPortForwardingSession';
const TO_REMOTE_HOST = 'AWS-StartPortForwardingSessionToRemoteHost';

/** The document for an endpoint when the user names none. */
export function usualDocument(to: RemoteEndpoint): string {
  return to.host === undefined ? TO_NODE : TO_REMOTE_HOST;
}

/** AWS's own documents live in no account, the user's in theirs. */
export function isAwsDocument(name: string): boolean {
  return /^AWS[A-Za-z]*-/.test(name);
}

export function usualPlan(documentName: string, to: RemoteEndpoint): SessionPlan {
  return {
    documentName,
    parameters: { portNumber: [String(to.port)], ...(to.host === undefined ? {} : { host: [to.host] }) },
  };
}

interface DocumentContent {
  readonly sessionType?: unknown;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly properties?: Readonly<Record<string, unknown>>;
}

/**
 * How to start a document of the user's own: read, so that parameters it does not have are not sent, and a destination that it fixes
 * is compared with the one that is wanted. Undefined when it may not be read.
 *
 * @throws CT_DOCUMENT_INVALID when it does not exist, is not for port sessions, or leads elsewhere
 */
export async function plannedFrom(
  api: AwsApi,
  documentName: string,
  to: RemoteEndpoint,
  signal: AbortSignal,
): Promise<SessionPlan | undefined> {
  const call = {
    action: 'ssm:GetDocument',
    resource: `document/${documentName}`,
    doing: `read the document ${documentName}`,
  };
  let text: string | undefined;
  try {
    const answer = await api.ssm(call, signal, (sdk, client, options) =>
      client.send(new sdk.GetDocumentCommand({ Name: documentName, DocumentFormat: 'JSON' }), options),
    );
    text = answer.Content;
  } catch (error) {
    if (error instanceof CloudtunError && error.code === 'CT_DENIED') return undefined;
    if (['UnknownOperationException', 'InvalidAction'].includes(awsErrorName(error) ?? '')) return undefined;
    throw error;
  }
  return text === undefined ? undefined : planFromContent(documentName, parseContent(documentName, text), to);
}

function unfit(documentName: string, why: string, cause?: unknown): CloudtunError {
  return new CloudtunError('CT_DOCUMENT_INVALID', `the document ${documentName} ${why}`, {
    hint: 'name another with --document, or leave it out to use the documents of AWS',
    ...(cause === undefined ? {} : { cause }),
  });
}

function parseContent(documentName: string, text: string): DocumentContent {
  try {
    const content: unknown = JSON.parse(text);
    if (typeof content === 'object' && content !== null) return content;
  } catch (error) {
    throw unfit(documentName, 'cannot be parsed', error);
  }
  throw unfit(documentName, 'cannot be parsed');
}

/** `{{ port }}` → `port`; undefined for a value that is fixed. */
const parameterOf = (value: unknown) =>
  typeof value === 'string' ? /^\{\{\s*(\w+)\s*\}\}$/.exec(value)?.[1] : undefined;

function planFromContent(documentName: string, content: DocumentContent, to: RemoteEndpoint): SessionPlan {
  if (content.sessionType !== 'Port')
    throw unfit(documentName, `is for sessions of the type ${content.sessionType}, not Port`);
  const parameters: Record<string, string[]> = {};
  const wanted: readonly (readonly [string, string | undefined])[] = [
    ['portNumber', String(to.port)],
    ['host', to.host],
  ];
  for (const [property, value] of wanted) {
    const template = content.properties?.[property];
    const parameter = parameterOf(template);
    const fixed = parameter === undefined && template !== undefined && template !== '' ? String(template) : undefined;
    if (parameter !== undefined) {
      if (value !== undefined) parameters[parameter] = [value];
    } else if (fixed?.toLowerCase() !== value?.toLowerCase()) {
      throw unfit(
        documentName,
        `leads to ${fixed === undefined ? `no other ${property}` : `${property} ${fixed}`}, not to ${formatEndpoint(to)}`,
      );
    }
  }
  return { documentName, parameters };
}
