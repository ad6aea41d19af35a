import { isIP } from 'node:net';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { ExposeRule } from '../expose/expose-types.ts';
import { checkForwardRules, parseForwardRule } from '../forward/forward-rule.ts';
import type { ListenRule } from '../forward/forward-types.ts';

/** What is forwarded beside, or instead of, a session. */
export interface SshRules {
  /** -L */
  readonly local: readonly (ListenRule & { readonly to: RemoteEndpoint; readonly text: string })[];
  /** -D */
  readonly dynamic: readonly (ListenRule & { readonly text: string })[];
  /** -R */
  readonly remote: readonly (ExposeRule & { readonly text: string })[];
}

/** As ssh: without an address, loopback. */
const LOOPBACK = ['localhost'];

/**
 * The rules of -L, -R and -D, in the spellings of ssh.
 *
 * @throws CT_USAGE that says which part is wrong
 */
export function parseSshRules(given: {
  readonly local: readonly string[];
  readonly dynamic: readonly string[];
  readonly remote: readonly string[];
}): SshRules {
  const local = given.local.map((text) => ({ text, ...parseForwardRule(text) }));
  const dynamic = given.dynamic.map((text) => ({ text, ...dynamicRule(text) }));
  checkForwardRules([...local, ...dynamic.map((rule) => ({ ...rule, to: { port: rule.port } }))]);
  return {
    local: local.map(({ text, bind, port, to }) => ({ text, bind: bindOf(bind), port, to })),
    dynamic: dynamic.map(({ text, bind, port }) => ({ text, bind: bindOf(bind), port })),
    remote: given.remote.map((text) => ({ text, ...remoteRule(text) })),
  };
}

export function hasRules({ local, dynamic, remote }: SshRules): boolean {
  return local.length + dynamic.length + remote.length > 0;
}

/** Where they listen, and what says so. */
export function listensOf({ local, dynamic, remote }: SshRules) {
  return [
    ...local.flatMap(({ bind, text }) => bind.map((address) => ({ address, by: `-L ${text}` }))),
    ...dynamic.flatMap(({ bind, text }) => bind.map((address) => ({ address, by: `-D ${text}` }))),
    ...remote.map((rule) => ({ address: rule.remote.host, by: `-R ${rule.text}` })),
  ];
}

/** For the journal: `-L 8080:db:80 -R 9000:localhost:3000`; what for is asked of nobody. */
export function describeRules({ local, dynamic, remote }: SshRules): string {
  const said = [
    ...local.map(({ text }) => `-L ${text}`),
    ...remote.map(({ text }) => `-R ${text}`),
    ...dynamic.map(({ text }) => `-D ${text}`),
  ];
  return said.join(' ');
}

function bindOf(bind: string | undefined): readonly string[] {
  return bind === undefined ? LOOPBACK : [bind];
}

/** `[bind:]port` */
function dynamicRule(text: string): { readonly bind?: string; readonly port: number } {
  const [, bracketed, plain, digits = ''] = /^(?:\[([^\]]*)\]:|([^:[\]]*):)?(\d{1,5})$/.exec(text) ?? [];
  const given = bracketed ?? plain;
  const port = digits === '' ? Number.NaN : Number(digits);
  const isAddress = given === undefined || ['', '*', 'localhost'].includes(given) || isIP(given) !== 0;
  if (port <= 65_535 && isAddress) {
    return { port, ...(given !== undefined && { bind: given === '' ? '*' : given }) };
  }
  throw new CloudtunError('CT_USAGE', `-D "${text}" is not a local address to listen on`, {
    hint: '[bind:]port, such as 1080 or 127.0.0.1:1080',
  });
}

/** Written like a local rule; what listens is the far machine, and what is reached is seen from here. */
function remoteRule(text: string): ExposeRule {
  if (/^(\[[^\]]*\]:|[^:]*:)?\d+$/.test(text) && !/^\d+:\d+$/.test(text)) {
    throw new CloudtunError(
      'CT_USAGE',
      `-R "${text}" names no service, and a SOCKS server for the far side is not there`,
      {
        hint: '[bind:]port:host:hostport, such as 8080:localhost:3000',
      },
    );
  }
  const { bind, port, to } = parseForwardRule(text);
  return {
    remote: { host: bind === undefined ? 'localhost' : bind === '*' ? '' : bind, port },
    local: { host: to.host ?? 'localhost', port: to.port },
  };
}
