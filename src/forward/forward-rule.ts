import { isIP, isIPv6 } from 'node:net';
import { formatEndpoint, type RemoteEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';

/** A rule as a person writes it. */
export interface ParsedRule {
  /** An IP address, `localhost`, or `*` for all addresses; absent when the rule does not say. */
  readonly bind?: string;
  /** 0 stands for any free port. */
  readonly port: number;
  /** Without `host`: a port of the target itself. */
  readonly to: RemoteEndpoint;
}

const EXAMPLES = [
  'ssh: [bind:]port:host:hostport, such as 5432:db.internal:5432 or [::1]:8080:admin.internal:80',
  'kubectl: local:remote, :remote for any free local port, or one port for both, such as 8080:80',
];

/**
 * Parses a forwarding rule in the spellings of `ssh -L` and `kubectl port-forward`:
 *
 *     8080                        port 8080 of the target, on the same local port
 *     8080:80   :80               port 80 of the target, on local port 8080, on any free one
 *     8080:host:80                a host as the target sees it; `localhost` and `127.0.0.1` are the target itself
 *     bind:8080:host:80           with a local address: IPv4, [IPv6], localhost; `*` or nothing for all addresses
 *     bind:8080   bind:8080:80    the same for a port of the target
 *
 * @throws CT_USAGE that says which part is wrong and how to write it
 */
export function parseForwardRule(text: string): ParsedRule {
  const parts = splitParts(text);
  const [first = '', second = '', third = '', fourth = ''] = parts.map((part) => part.text);
  const isPorts = (...parts: readonly string[]) => parts.every((part) => /^\d+$/.test(part));
  switch (parts.length) {
    case 1:
      return rule(text, undefined, first, undefined, first);
    case 2:
      if (first === '' || isPorts(first)) return rule(text, undefined, first === '' ? '0' : first, undefined, second);
      return rule(text, bindOf(text, parts[0]!, `${second}:${first}:${second}`), second, undefined, second);
    case 3:
      if (!isPorts(first) && isPorts(second, third)) {
        return rule(text, bindOf(text, parts[0]!, `${second}:${first}:${third}`), second, undefined, third);
      }
      return rule(text, undefined, first, hostOf(text, parts[1]!), third);
    case 4:
      return rule(text, bindOf(text, parts[0]!), second, hostOf(text, parts[2]!), fourth);
    default:
      throw usage(text, `it has ${parts.length} parts; an IPv6 address is written in brackets`);
  }
}

/** The rule in the longest spelling that says the same, `127.0.0.1:8080:db.internal:5432`: `parseForwardRule` takes it back. */
export function formatForwardRule(rule: ParsedRule): string {
  const bind = rule.bind === undefined ? '' : `${isIPv6(rule.bind) ? `[${rule.bind}]` : rule.bind}:`;
  return `${bind}${rule.port}:${formatEndpoint(rule.to)}`;
}

/**
 * Two rules cannot listen on the same port of the same address. Compares what is written; what is busy for another reason shows
 * when it is bound.
 *
 * @throws CT_USAGE that names both
 */
export function checkForwardRules(rules: readonly ParsedRule[]): void {
  for (const [index, one] of rules.entries()) {
    if (one.port === 0) continue;
    const other = rules.slice(0, index).find((before) => before.port === one.port && isSameBind(before.bind, one.bind));
    if (!other) continue;
    throw new CloudtunError('CT_USAGE', `two rules listen on local port ${one.port}`, {
      details: [
        ['one', formatForwardRule(other)],
        ['other', formatForwardRule(one)],
      ],
      hint: 'give one of them another local port, or 0 for any free one',
    });
  }
}

const isSameBind = (one: string | undefined, two: string | undefined) => one === two || one === '*' || two === '*';

interface Part {
  readonly text: string;
  readonly isBracketed: boolean;
}

/** Splits at colons outside brackets. */
function splitParts(text: string): readonly Part[] {
  if (text === '') throw usage(text, 'it is empty');
  if (/[\s\p{Cc}]/u.test(text)) throw usage(text, 'it has a space or an invisible character in it');
  if (text.includes('/')) throw usage(text, 'a slash has no meaning in it; sockets with a path are not forwarded');
  const parts: Part[] = [];
  for (let start = 0; start <= text.length; ) {
    if (text[start] !== '[') {
      const colon = text.indexOf(':', start);
      const end = colon < 0 ? text.length : colon;
      const part = text.slice(start, end);
      if (/[[\]]/.test(part)) throw usage(text, 'a bracket is in the wrong place');
      parts.push({ text: part, isBracketed: false });
      start = end + 1;
      continue;
    }
    const close = text.indexOf(']', start);
    const inside = text.slice(start + 1, close < 0 ? undefined : close);
    if (close < 0 || (close + 1 < text.length && text[close + 1] !== ':'))
      throw usage(text, 'a bracket is in the wrong place');
    if (!isIPv6(inside)) throw usage(text, `"${inside}" in brackets is not an IPv6 address`);
    parts.push({ text: inside, isBracketed: true });
    start = close + 2;
  }
  return parts;
}

function rule(
  text: string,
  bind: string | undefined,
  local: string,
  host: string | undefined,
  remote: string,
): ParsedRule {
  const port = portOf(text, local, 'local port');
  const remotePort = portOf(text, remote, 'remote port');
  if (remotePort === 0) throw usage(text, 'the remote port is 0; only a local one may be left to the system');
  return {
    port,
    to: host === undefined ? { port: remotePort } : { host, port: remotePort },
    ...(bind !== undefined && { bind }),
  };
}

function portOf(text: string, part: string, what: string): number {
  if (part === '') throw usage(text, `the ${what} is missing`);
  const port = /^\d{1,5}$/.test(part) ? Number(part) : Number.NaN;
  if (!(port <= 65_535)) throw usage(text, `"${part}" is not a ${what}: a number up to 65535`);
  return port;
}

/** @param meant how a person who wrote `host:port` may have meant it */
function bindOf(text: string, part: Part, meant?: string): string {
  const { text: bind } = part;
  // As in ssh: an empty address means all of them.
  if (bind === '' || bind === '*') return '*';
  if (bind === 'localhost' || isIP(bind) !== 0) return bind;
  const hint = meant === undefined || !isHost(bind) ? undefined : `to reach ${bind} through the target, write ${meant}`;
  throw usage(text, `"${bind}" is not a local address: an IP address, localhost or *`, hint);
}

function hostOf(text: string, part: Part): string | undefined {
  const { text: host } = part;
  if (host === '') throw usage(text, 'the host is missing');
  // What ssh users write for the far machine itself; the cloud has a session of its own kind for it, with other permissions.
  if (host === 'localhost' || host === '127.0.0.1') return undefined;
  if (!part.isBracketed && !isHost(host)) throw usage(text, `"${host}" is not a host name or an IP address`);
  return host;
}

/** A DNS name (underscores and a dot at the end included), or an IPv4 address. */
function isHost(host: string): boolean {
  if (host.length > 253) return false;
  if (/^[\d.]+$/.test(host)) return isIP(host) === 4;
  return host
    .replace(/\.$/, '')
    .split('.')
    .every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label));
}

function usage(text: string, what: string, hint?: string): CloudtunError {
  return new CloudtunError('CT_USAGE', `"${text}" is not a forwarding rule: ${what}`, {
    hint: hint === undefined ? EXAMPLES : [hint, ...EXAMPLES],
  });
}
