import type { ErrorCode } from '../../domain/error-catalogue.ts';
import { ERROR_CATALOGUE } from '../../domain/error-catalogue.ts';
import type { CloudtunError } from '../../domain/errors.ts';

/*
 * What a client of the SOCKS port may want, in whichever of the three protocols it asks. The readers (socks5.ts, socks4.ts,
 * http-connect.ts) take bytes and give steps; the driver is socks/converse.ts.
 */

/** Where a client wants to go, as it said so: a name, an IPv4 address, or an IPv6 address without brackets. */
export interface NamedEndpoint {
  readonly host: string;
  readonly port: number;
}

export type Protocol = 'SOCKS5' | 'SOCKS4' | 'SOCKS4a' | 'HTTP';

/** A stream is wanted. */
export interface ConnectRequest {
  readonly kind: 'connect';
  readonly protocol: Protocol;
  readonly to: NamedEndpoint;
  /** What to say when the stream stands; nothing where the far side's own answer says it. */
  readonly granted: Buffer;
  /** What to say instead, before closing. */
  refused(error: CloudtunError): Buffer;
}

/** A page of the port's own is wanted (the PAC file). */
export interface PageRequest {
  readonly kind: 'page';
  /** `/proxy.pac` */
  readonly path: string;
  /** What the client believes it talks to, without the port: the Host header. */
  readonly host: string;
  readonly isHead: boolean;
}

/** Nothing that can be served; `answer` is what the protocol has to say about it, and may be empty. */
export interface BadRequest {
  readonly kind: 'bad';
  readonly error: CloudtunError;
  readonly answer: Buffer;
}

export type ClientRequest = ConnectRequest | PageRequest | BadRequest;

/** `say` first, if there is something; then go on reading, or, with a request, stop: `rest` was meant for the far side. */
export interface ReaderStep {
  readonly say?: Buffer;
  readonly request?: ClientRequest;
  readonly rest?: Buffer;
}

/** Takes the client's bytes as they come and gives what follows from them. Bounded; of no use after it gave a request. */
export interface RequestReader {
  receive(bytes: Buffer): ReaderStep;
}

/** Why there is no stream, as far as the protocols can tell their clients. */
export type Refusal = 'forbidden' | 'unreachable' | 'refused' | 'silent' | 'busy' | 'failed';

const BY_CODE: Partial<Record<ErrorCode, Refusal>> = {
  CT_DENIED: 'forbidden',
  CT_POLICY: 'forbidden',
  CT_REMOTE_FORBIDDEN: 'forbidden',
  CT_REMOTE_REFUSED: 'refused',
  CT_REMOTE_SILENT: 'silent',
  CT_TIMEOUT: 'silent',
  CT_NO_BASTION: 'unreachable',
  CT_TARGET_OFFLINE: 'unreachable',
  CT_TARGET_STOPPED: 'unreachable',
  CT_TARGET_NOT_FOUND: 'unreachable',
  CT_DESTINATION_LIMIT: 'busy',
  CT_THROTTLED: 'busy',
};

export function refusalOf({ code }: CloudtunError): Refusal {
  const { kind } = ERROR_CATALOGUE[code];
  return BY_CODE[code] ?? (kind === 'network' || kind === 'lost' ? 'unreachable' : 'failed');
}

/**
 * A host as a client wrote it, in its usual spelling: names in lower case, IPv6 addresses in short form, IPv4 addresses in IPv6 clothes
 * as what they are. Undefined for what is neither a name nor an address; that includes `127.1` and `0x7f000001`, which some resolvers take
 * for addresses and no rule would recognise.
 */
export function normalHost(text: string): string | undefined {
  if (text.includes(':')) return normalIpv6(text);
  if (text.length > 255 || !/^[\w-]+(\.[\w-]+)*\.?$/.test(text)) return undefined;
  const host = text.toLowerCase();
  const last = /([^.]*)\.?$/.exec(host)?.[1] ?? '';
  if (!/^(\d+|0x[\da-f]*)$/.test(last)) return host;
  return /^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.|$)){4}$/.test(host) && !host.endsWith('.') ? host : undefined;
}

function normalIpv6(text: string): string | undefined {
  if (!/^[\da-f:.]{2,45}$/i.test(text) || !URL.canParse(`http://[${text}]/`)) return undefined;
  const address = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(address);
  if (!mapped) return address;
  return mapped
    .slice(1)
    .flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff])
    .join('.');
}
