/*
 * The journal as a table (RFC 4180), a line for each event, for spreadsheets. A cell that a spreadsheet would take for a formula gets an
 * apostrophe in front: reasons and names are typed by people, and the table is opened by others.
 */
import type { ToldLine } from './line-selection.ts';

const COLUMNS = [
  'time',
  'event',
  'change',
  'tunnel',
  'person',
  'name',
  'account',
  'hostUser',
  'host',
  'pid',
  'place',
  'asked',
  'target',
  'targetId',
  'node',
  'to',
  'from',
  'document',
  'session',
  'use',
  'program',
  'reason',
  'rule',
  'why',
  'code',
  'message',
  'durationMs',
  'connections',
  'bytesUp',
  'bytesDown',
  'segment',
  'seq',
  'hash',
] as const;

/** What makes a spreadsheet work something out, or sends it elsewhere. */
const FORMULA = /^[=+\-@\t\r]/;

/** The first line, with the names of the columns. Lines end with CR LF. */
export function csvHeader(): string {
  return `${COLUMNS.join(',')}\r\n`;
}

/** One line, what is known of the tunnel filled in. */
export function csvLine({ line, tunnel }: ToldLine): string {
  const fields: Readonly<Record<string, unknown>> = { ...tunnel, ...line.event };
  return `${COLUMNS.map((column) => cell(fields[column])).join(',')}\r\n`;
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const text = String(value);
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
