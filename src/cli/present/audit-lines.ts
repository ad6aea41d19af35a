import { formatByteCount } from '../../domain/byte-count.ts';
import { formatDuration } from '../../domain/duration.ts';
import type { Millis } from '../../domain/millis.ts';
import { printable } from './printable.ts';
import { clockTime, plural } from './tunnel-lines.ts';

type Fields = Readonly<Record<string, unknown>>;

/** One line of the journal for people; the file has more. */
interface ShownLine {
  readonly time: Millis;
  readonly event: Fields;
}

/** As many digits of a tunnel's id as tell it from others on a screen, and as `--tunnel` takes. */
const TUNNEL_DIGITS = 8;

/**
 * `14:25:04 3f2a91bc open     alice -> prod via i-0abc: INC-1`: the time of this machine, the tunnel (the same for all that belongs
 * together), the event, and what a person wants to see of it.
 */
export function auditLine({ time, event: fields }: ShownLine): string {
  const event = String(fields.event ?? '?');
  const tunnel = String(fields.tunnel ?? '').slice(0, TUNNEL_DIGITS);
  const text = (TEXTS[event] ?? otherText)(fields);
  return printable([clockTime(time), tunnel.padEnd(TUNNEL_DIGITS), event.padEnd(8), text].join(' ').trimEnd());
}

/** The journal's own lines about its segments are of use to `audit verify` alone. */
export function isAboutJournal({ event }: { readonly event: Fields }): boolean {
  return String(event.event).startsWith('segment-');
}

const TEXTS: Readonly<Record<string, (fields: Fields) => string>> = {
  open: (fields) => `${who(fields)} -> ${where(fields)}${because(fields)}`,
  identity: (fields) => who(fields),
  session: ({ change, session, why, document }) =>
    `${change} ${session}${document === undefined ? '' : ` (${document})`}${why === undefined ? '' : `, ${why}`}`,
  renewal: ({ session, how, downtimeMs }) => `${how} ${session}, ${duration(downtimeMs)} without it`,
  moved: ({ why, openStreams }) => `${why}, ${plural(Number(openStreams ?? 0), 'open stream')}`,
  'sign-in': ({ change, code, afterMs }) =>
    change === 'done' ? `done after ${duration(afterMs)}` : `${change} (${code})`,
  client: (fields) => clientText(fields),
  denial: (fields) => `${who(fields)} -> ${where(fields)}: ${fields.message} (${fields.code})`,
  command: (fields) => `${fields.program}${fields.with === undefined ? '' : ` with ${fields.with}`}`,
  grant: (fields) => `${who(fields)}: ${fields.change} ${fields.kind} ${fields.object} (${fields.place})`,
  end: ({ why, durationMs, connections, bytesDown, bytesUp, code }) =>
    `${why}${code === undefined ? '' : ` (${code})`} after ${duration(durationMs)}, ` +
    `${plural(Number(connections ?? 0), 'connection')}, ${bytes(bytesDown)} down, ${bytes(bytesUp)} up`,
};

/** The last part of an ARN, or an address as it is. */
function who({ person, name, hostUser, host }: Fields): string {
  if (person !== undefined) return String(name ?? String(person).split('/').at(-1));
  return hostUser === undefined ? '?' : `${hostUser} of ${host}, by the login of this machine`;
}

function where({ target, asked, node, targetId, to, document, use }: Fields): string {
  const named = target ?? asked ?? '?';
  const via = node === undefined || node === targetId ? '' : ` via ${node}`;
  const details = [to, document, use].filter((each) => each !== undefined);
  return `${named}${via}${details.length > 0 ? ` (${details.join(', ')})` : ''}`;
}

function because({ reason }: Fields): string {
  return reason === undefined ? '' : `: ${reason}`;
}

function clientText({ change, from, to, bytesDown, bytesUp, code }: Fields): string {
  if (change !== 'closed') return `${change} ${from} -> ${to}`;
  const trouble = code === undefined ? '' : ` (${code})`;
  return `closed ${from}${trouble}, ${bytes(bytesDown)} down, ${bytes(bytesUp)} up`;
}

/** An event of another cloudtun. */
function otherText(fields: Fields): string {
  const own = ['time', 'event', 'tunnel', 'segment', 'seq', 'hash'];
  return Object.entries(fields)
    .filter(([key]) => !own.includes(key))
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
}

function duration(ms: unknown): string {
  return formatDuration(Number(ms ?? 0));
}

function bytes(count: unknown): string {
  return formatByteCount(Number(count ?? 0));
}
