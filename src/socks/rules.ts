import { isIP } from 'node:net';
import { CloudtunError } from '../domain/errors.ts';
import { type Cidr, covers, parseCidr } from '../runtime/cidr.ts';

/*
 * What may be reached through the port: `--only` and `--except`, by name and by address.
 *
 * Names are resolved on the far side, so a rule about addresses is about hosts that the client gave as addresses, and a rule about names
 * about those it gave as names. Where that matters, say what may be reached (`--only`), which leaves everything else out.
 */

/** A rule as it was written, and what it is about. */
export type HostPattern =
  | { readonly text: string; readonly kind: 'name'; readonly name: RegExp }
  | { readonly text: string; readonly kind: 'addresses'; readonly cidr: Cidr };

export interface SocksRules {
  /** Nothing else may be reached; empty: everything may. */
  readonly only: readonly HostPattern[];
  /** May not be reached, whatever `only` says. */
  readonly except: readonly HostPattern[];
}

/**
 * Where a machine of the clouds gets its own credentials: by a login to it anybody behind the port could ask for them, a page in a browser
 * among them. The agent of Session Manager refuses such addresses by itself.
 */
const METADATA_BLOCKS: readonly Cidr[] = ['169.254.0.0/16', '::ffff:a9fe:0/112', 'fe80::/10', 'fd00:ec2::/32'].flatMap(
  (text) => parseCidr(text) ?? [],
);
const METADATA_NAMES: readonly string[] = [
  'metadata',
  'metadata.google.internal',
  'instance-data',
  'instance-data.ec2.internal',
];

/** How the machine at the far end itself may be called. */
const ITSELF: readonly string[] = ['localhost', '127.0.0.1', '::1'];

/**
 * `db.internal`, `*.internal` (any depth, not `internal` itself), `10.0.0.0/8`, `fd00::/8`, or one address.
 *
 * @param flag named in the error
 * @throws CT_USAGE
 */
export function parseHostPattern(text: string, flag: string): HostPattern {
  const cidr = parseCidr(text.replace(/^\[(.*)\]$/, '$1'));
  if (cidr) return { text, kind: 'addresses', cidr };
  const isName = /^[\w*-]+(\.[\w*-]+)*\.?$/.test(text) && /[a-z*]/i.test(text) && isIP(text) === 0;
  if (!isName) {
    throw new CloudtunError('CT_USAGE', `${flag} "${text}" is neither a name nor a block of addresses`, {
      hint: `for example: ${flag} '*.internal' or ${flag} 10.0.0.0/8`,
    });
  }
  const escaped = withoutDot(text.toLowerCase()).replaceAll(/[.*]/g, (sign) => (sign === '*' ? '.*' : '\\.'));
  return { text, kind: 'name', name: new RegExp(`^${escaped}$`) };
}

/** Whether a host means the machine (or host) at the far end itself. */
export function isItself(host: string): boolean {
  return ITSELF.includes(withoutDot(host)) || withoutDot(host).endsWith('.localhost');
}

/**
 * Why a host may not be reached; undefined when it may.
 *
 * @param host as `normalHost` gives it
 */
export function objectionTo({ only, except }: SocksRules, host: string): CloudtunError | undefined {
  const names = isItself(host) ? [...ITSELF, host] : [host];
  const excepted = except.find((pattern) => names.some((name) => matches(pattern, name)));
  if (excepted) return forbidden(`${host} is kept out by --except ${excepted.text}`);
  if (
    isMetadata(host) &&
    !only.some((pattern) => names.some((name) => matches(pattern, name)) && isAbout(pattern, host))
  ) {
    return forbidden(
      `${host} is the metadata service of the machine, which gives out its credentials`,
      `if that is wanted: --only ${host}`,
    );
  }
  if (only.length === 0 || only.some((pattern) => names.some((name) => matches(pattern, name)))) return undefined;
  const listed = only.map(({ text }) => text).join(', ');
  const isNameAmongAddresses = isIP(host) === 0 && only.every(({ kind }) => kind === 'addresses');
  return forbidden(
    `${host} is not among --only ${listed}`,
    isNameAmongAddresses ? 'names are resolved on the far side: allow them by name' : undefined,
  );
}

function isMetadata(host: string): boolean {
  const address = parseCidr(writtenOut(host));
  if (address === undefined) return METADATA_NAMES.includes(withoutDot(host));
  return METADATA_BLOCKS.some((block) => covers(block, address));
}

/** `2852039166` and `0xa9fea9fe` are addresses too, to the resolver of the far side; and so they are to a URL. */
function writtenOut(host: string): string {
  if (isIP(host) !== 0 || !/^[\da-fx.]+$/i.test(host)) return host;
  return URL.parse(`http://${host}`)?.hostname ?? host;
}

/** Whether a rule that fits was written for metadata services, and not for everything of a kind. */
function isAbout(pattern: HostPattern, host: string): boolean {
  if (pattern.kind === 'name') return withoutDot(pattern.text.toLowerCase()) === withoutDot(host);
  return METADATA_BLOCKS.some((block) => covers(block, pattern.cidr));
}

function matches(pattern: HostPattern, host: string): boolean {
  if (pattern.kind === 'name') return pattern.name.test(withoutDot(host));
  const address = parseCidr(host);
  return address !== undefined && covers(pattern.cidr, address);
}

const withoutDot = (host: string) => host.replace(/\.$/, '');

function forbidden(message: string, hint?: string): CloudtunError {
  return new CloudtunError('CT_POLICY', message, hint === undefined ? {} : { hint });
}
