/*
 * The journal in the Common Event Format (CEF:0), a line for each event: `CEF:0|vendor|product|version|event|name|severity|extension`.
 * Keys are those of the format's dictionary; what it has no key for goes into custom strings with their labels.
 */
import { readEndpoint, severityOf, titleOf } from './event-words.ts';
import type { ToldLine } from './line-selection.ts';

/** By severity of events: low, medium, high of the format (0 to 10). */
const SEVERITY = { usual: 2, notable: 5, denied: 7 } as const;

/** @param version of cloudtun */
export function cefLine({ line, tunnel }: ToldLine, version: string): string {
  const fields: Readonly<Record<string, unknown>> = { ...tunnel, ...line.event };
  const event = String(fields.event);
  const header = ['CEF:0', 'cloudtun', 'cloudtun', version, event, titleOf(fields), SEVERITY[severityOf(fields)]];
  const to = readEndpoint(fields.to);
  const from = readEndpoint(fields.from);
  const extension: readonly (readonly [string, unknown])[] = [
    ['rt', line.time],
    ['externalId', fields.segment === undefined ? undefined : `${fields.segment}:${fields.seq}`],
    ['act', fields.change],
    ['outcome', event === 'denial' ? 'failure' : 'success'],
    ['suser', fields.name ?? fields.person],
    ['suid', fields.person],
    ['shost', fields.host],
    ['sntdom', fields.account],
    ['spid', fields.pid],
    ['src', from?.host],
    ['spt', from?.port],
    ['dhost', fields.target ?? fields.asked],
    ['dpt', to?.port],
    ['in', fields.bytesDown],
    ['out', fields.bytesUp],
    ['reason', fields.reason],
    ['sproc', fields.program],
    ['msg', fields.message ?? fields.why],
    ['cs1Label', fields.tunnel === undefined ? undefined : 'tunnel'],
    ['cs1', fields.tunnel],
    ['cs2Label', fields.session === undefined ? undefined : 'session'],
    ['cs2', fields.session],
    ['cs3Label', fields.document === undefined ? undefined : 'document'],
    ['cs3', fields.document],
    ['cs4Label', fields.node === undefined ? undefined : 'node'],
    ['cs4', fields.node],
    ['cs5Label', fields.place === undefined ? undefined : 'place'],
    ['cs5', fields.place],
    ['cs6Label', fields.code === undefined ? undefined : 'code'],
    ['cs6', fields.code],
  ];
  const said = extension.filter(([, value]) => value !== undefined && value !== '');
  const pairs = said.map(([key, value]) => `${key}=${inExtension(String(value))}`);
  return `${header.map((part) => (part === 'CEF:0' ? part : inHeader(String(part)))).join('|')}|${pairs.join(' ')}\n`;
}

function inHeader(text: string): string {
  return text
    .replaceAll('\\', '\\\\')
    .replaceAll('|', '\\|')
    .replaceAll(/[\r\n]+/g, ' ');
}

function inExtension(text: string): string {
  return text
    .replaceAll('\\', '\\\\')
    .replaceAll('=', '\\=')
    .replaceAll(/\r\n|\r|\n|\u2028|\u2029/g, '\\n');
}
