import type { AuditReader, CloudRecord, CloudUse } from '../../domain/audit-feed.ts';
import { parseIsoTime } from '../../runtime/iso-time.ts';

/** The members of a CloudTrail record that we read ("CloudTrail record contents"). */
interface TrailRecord {
  readonly eventID: string;
  readonly eventTime: string;
  readonly eventSource: string;
  readonly eventName?: string;
  readonly awsRegion?: string;
  readonly recipientAccountId?: string;
  readonly sourceIPAddress?: string;
  readonly userAgent?: string;
  readonly errorCode?: string;
  readonly userIdentity?: { readonly arn?: string; readonly principalId?: string; readonly accountId?: string };
  readonly requestParameters?: {
    readonly target?: string;
    readonly documentName?: string;
    readonly reason?: string;
    readonly parameters?: Readonly<Record<string, unknown>>;
  } | null;
  readonly responseElements?: { readonly sessionId?: string } | null;
}

/** What a session is when nobody names a document: the shell. */
const SHELL = 'SSM-SessionManagerRunShell';

/** CloudTrail: a record for each `StartSession`, with the session's id. */
export const cloudTrailReader: AuditReader = {
  label: 'CloudTrail',
  grain: 'session',
  // "Where CloudTrail events are delivered": within 5 minutes on average, and longer is not excluded; 15 is what it used to promise.
  settle: 900_000,
  resolution: 1_000,
  whenSilent:
    'CloudTrail has no session of anybody here: is this the account and region of the sessions (--profile, --region)? Are the files those of management events?',
  read: readTrail,
  scopesOf: ({ place, account }) => {
    const [, region] = /^aws (?:.*\/)?([a-z0-9-]+)$/.exec(place) ?? [];
    return region === undefined || account === undefined ? [] : [scopeOf(account, region)];
  },
};

/** What CloudTrail keeps its records apart by. */
export function scopeOf(account: string, region: string): string {
  return `${account} ${region}`;
}

function readTrail(value: unknown): CloudRecord | undefined {
  const record = asRecord(value);
  const at = record === undefined ? undefined : parseIsoTime(record.eventTime);
  if (record === undefined || at === undefined) return undefined;
  const { eventID, awsRegion = '', recipientAccountId, userIdentity, eventSource, eventName } = record;
  const scope = scopeOf(recipientAccountId ?? userIdentity?.accountId ?? '', awsRegion);
  // Athena has a StartSession as well.
  const isSession = eventSource === 'ssm.amazonaws.com' && eventName === 'StartSession';
  return { id: eventID, at, scope, ...(isSession && { use: useOf(record) }) };
}

function useOf(record: TrailRecord): CloudUse {
  const { userIdentity, requestParameters: asked, responseElements, errorCode, sourceIPAddress, userAgent } = record;
  const session = responseElements?.sessionId;
  const target = asked?.target ?? '';
  const port = firstNumber(asked?.parameters?.portNumber);
  return {
    person: userIdentity?.arn ?? userIdentity?.principalId ?? 'unknown',
    ...(session !== undefined && { session }),
    node: target,
    ...(port !== undefined && { port }),
    ...(errorCode === undefined && { document: asked?.documentName ?? SHELL }),
    ...(asked?.reason !== undefined && { reason: asked.reason }),
    ...(sourceIPAddress !== undefined && { address: sourceIPAddress }),
    ...(userAgent !== undefined && {
      program: programOf(userAgent),
      isOurs: /(^|[\s/])cloudtun($|[\s/])/.test(userAgent),
    }),
    isGranted: errorCode === undefined && session !== undefined,
    isAt: (node) => node === target,
  };
}

/** `aws-cli/2.31.0` of all that a program says of itself. */
function programOf(userAgent: string): string {
  // The console writes a browser's name in square brackets, or nothing but the service's own.
  return userAgent.split(/\s/)[0]?.slice(0, 60) || 'a program without a name';
}

function firstNumber(value: unknown): number | undefined {
  const number = Number(Array.isArray(value) ? value[0] : Number.NaN);
  return Number.isInteger(number) ? number : undefined;
}

/** A record as it is in a file, or inside of an answer of `LookupEvents`. */
function asRecord(value: unknown): TrailRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { CloudTrailEvent: inner, eventID, eventTime, eventSource } = value as Readonly<Record<string, unknown>>;
  if (typeof inner === 'string') return asRecord(parsed(inner));
  const isRecord = [eventID, eventTime, eventSource].every((each) => typeof each === 'string');
  return isRecord ? (value as TrailRecord) : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
