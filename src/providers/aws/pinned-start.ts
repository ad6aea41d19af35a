import type { RemoteEndpoint } from '../../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../../domain/errors.ts';
import type { SsmSessionTicket } from '../../domain/ticket.ts';
import type { PinnedDocument } from '../provider.ts';
import type { AwsApi } from './aws-api.ts';
import { awsErrorName } from './aws-errors.ts';
import { plannedFrom, type SessionPlan, usualPlan } from './session-document.ts';

/** What StartSession says of a document that is not there; of one that this identity may not see, it says that it is denied. */
const MISSING = ['InvalidDocument', 'DoesNotExistException'];
const OTHER_PARAMETERS = ['InvalidParameters', 'ValidationException'];

/** How a session is begun and ended. */
export interface SessionStarts {
  start(plan: SessionPlan): Promise<SsmSessionTicket>;
  end(ticket: SsmSessionTicket): Promise<void>;
  /** With the document of AWS. */
  usual(): Promise<SsmSessionTicket>;
}

/**
 * Starts a session with a target's own document, and reads the document meanwhile: whoever may edit it can aim it elsewhere, and then
 * the session ends before a byte of anybody went through it. Where the document is not there or may not be used, the usual one is tried.
 *
 * @throws CT_DOCUMENT_INVALID when it leads elsewhere; CT_DENIED that names the pinned document when neither may be used
 */
export async function startPinned(
  api: AwsApi,
  pinned: PinnedDocument,
  to: RemoteEndpoint,
  signal: AbortSignal,
  { start, end, usual }: SessionStarts,
): Promise<SsmSessionTicket> {
  const { document, isOpen } = pinned;
  const parameters = isOpen ? usualPlan(document, to).parameters : {};
  // Its failure is awaited below; until then it must not count as unhandled.
  const reading = plannedFrom(api, document, to, signal);
  reading.catch(() => {});
  let ticket: SsmSessionTicket;
  try {
    ticket = await start({ documentName: document, parameters });
  } catch (thrown) {
    const error = asCloudtunError(thrown);
    // One of this name that leaves something to the caller: made by other hands, and of use all the same if it leads there.
    const plan = OTHER_PARAMETERS.includes(awsErrorName(error) ?? '') ? await reading : undefined;
    if (plan !== undefined) return start(plan);
    return instead(pinned, error, usual);
  }
  try {
    await reading;
    return ticket;
  } catch (error) {
    await end(ticket);
    throw leadsElsewhere(pinned, error);
  }
}

async function instead(
  pinned: PinnedDocument,
  error: CloudtunError,
  usual: () => Promise<SsmSessionTicket>,
): Promise<SsmSessionTicket> {
  const isMissing = MISSING.includes(awsErrorName(error) ?? '');
  if (!isMissing && error.code !== 'CT_DENIED') throw error;
  try {
    return await usual();
  } catch (thrown) {
    if (!(thrown instanceof CloudtunError) || thrown.code !== 'CT_DENIED') throw thrown;
    throw denied(pinned, isMissing ? thrown : error, isMissing);
  }
}

/** @param isMissing the document itself is not there */
function denied({ document, subject }: PinnedDocument, error: CloudtunError, isMissing: boolean): CloudtunError {
  const who = /^(\S+) may not /.exec(error.message)?.[1];
  const ask = who === undefined ? 'cloudtun team check' : `cloudtun team check ${who} ${subject}`;
  return new CloudtunError('CT_DENIED', error.message, {
    details: [
      ...error.details,
      ...(isMissing ? [['pinned', `document/${document} is not there`] as const] : []),
      ['ask', ask],
    ],
    hint: isMissing ? [`whoever runs the account makes it: cloudtun team apply`, ...error.hints] : error.hints,
    cause: error.cause ?? error,
  });
}

function leadsElsewhere({ document, subject }: PinnedDocument, thrown: unknown): CloudtunError {
  const error = asCloudtunError(thrown);
  if (error.code !== 'CT_DOCUMENT_INVALID') return error;
  return new CloudtunError('CT_DOCUMENT_INVALID', `${error.message}; the session was ended`, {
    hint: [
      `${document} is not what cloudtun.yaml says of ${subject}: whoever runs the account sees the difference with cloudtun team plan`,
      'to go another way, where you may: --document AWS-StartPortForwardingSessionToRemoteHost',
    ],
    cause: error,
  });
}
