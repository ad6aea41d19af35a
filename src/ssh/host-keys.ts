import { createHash } from 'node:crypto';
import { CloudtunError } from '../domain/errors.ts';
import type { PublishedHostKeys } from '../providers/provider.ts';
import type { KnownHosts, KnownKey, WrittenKey } from './known-hosts.ts';

/** How a host key was found to be right. */
export interface HostKeyVerdict {
  /** `published`: the cloud vouches for it; `known`: the same as before; `first-use`: trusted because nothing was known. */
  readonly trust: 'published' | 'known' | 'first-use';
  readonly type: string;
  /** `SHA256:…`, as OpenSSH writes it. */
  readonly fingerprint: string;
  /** With `published`: by what. */
  readonly source?: string;
}

/** What is known of a machine's host keys before it is talked to. */
export interface HostKeyExpectation {
  /** Types that are known, so that the server is asked for one of them and not for one nobody has seen. */
  readonly types: readonly string[];
  /** @throws CT_HOST_KEY_CHANGED, CT_PROTO_SSH for a blob that is no key, CT_STATE */
  check(blob: Uint8Array): HostKeyVerdict;
}

/** What a person decided about host keys. */
export interface HostKeyPolicy {
  /** A key that is another one than before is trusted from now on, and the old one forgotten. Not against what the cloud publishes. */
  readonly forgets?: boolean;
  /** A key that nobody vouches for and nobody has seen is refused (`StrictHostKeyChecking=yes`). */
  readonly isStrict?: boolean;
}

/** A type name is at most this long (RFC 4251, section 6: 64 characters for names). */
const LONGEST_TYPE = 64;

/**
 * The check of a machine's host key (docs of OpenSSH: StrictHostKeyChecking=accept-new): what the cloud publishes decides; else what
 * was seen before; else it is trusted and remembered.
 *
 * @param host names the machine in the file, `aws:i-0abc`
 * @param label for people
 */
export function hostKeyExpectation(
  known: KnownHosts,
  host: string,
  label: string,
  published: PublishedHostKeys | undefined,
  { forgets = false, isStrict = false }: HostKeyPolicy = {},
): HostKeyExpectation {
  const vouched = (published?.keys ?? []).flatMap((line) => parsePublicKey(line) ?? []);
  const seen = known.of(host);
  // A login that is tried again meets a host that is not new any more.
  let trusted: WrittenKey | undefined;
  return {
    types: [...new Set((vouched.length > 0 ? vouched : seen).map(({ type }) => type))],
    check(blob) {
      const offered = writtenKey(blob);
      const { type } = offered;
      const fingerprint = fingerprintOf(offered);
      const isSeen = seen.some((key) => isSame(key, offered));
      if (published !== undefined && vouched.length > 0) {
        if (!vouched.some((key) => isSame(key, offered))) throw unpublished(label, offered, vouched, published.source);
        if (!isSeen) known.add(host, offered);
        return { trust: 'published', type, fingerprint, source: published.source };
      }
      if (isSeen || (trusted && isSame(trusted, offered))) return { trust: 'known', type, fingerprint };
      const isOther = seen.length > 0 || trusted !== undefined;
      if (isOther && (!forgets || trusted)) throw changed(known, label, offered, known.of(host));
      if (isOther) known.forget(host);
      else if (isStrict) throw unknown(label, offered);
      known.add(host, offered);
      trusted = offered;
      return { trust: 'first-use', type, fingerprint };
    },
  };
}

/** `SHA256:…` of a key's blob. */
export function fingerprintOf(key: WrittenKey): string {
  const digest = createHash('sha256').update(Buffer.from(key.data, 'base64')).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}

/** The key of a line of a public key file; undefined for what is none. */
export function parsePublicKey(line: string): WrittenKey | undefined {
  const [type, data] = line.trim().split(/\s+/);
  return type === undefined || data === undefined || data === '' ? undefined : { type, data };
}

/** RFC 4253, section 6.6: a blob begins with its type as a string, a length of four bytes before it. */
function writtenKey(blob: Uint8Array): WrittenKey {
  const bytes = Buffer.from(blob);
  const length = bytes.length < 4 ? 0 : bytes.readUInt32BE(0);
  if (length === 0 || length > LONGEST_TYPE || bytes.length <= 4 + length) {
    throw new CloudtunError('CT_PROTO_SSH', `the server's host key is malformed (${bytes.length} bytes)`);
  }
  return { type: bytes.toString('latin1', 4, 4 + length), data: bytes.toString('base64') };
}

function isSame(a: WrittenKey, b: WrittenKey): boolean {
  return a.type === b.type && Buffer.from(a.data, 'base64').equals(Buffer.from(b.data, 'base64'));
}

function described(key: WrittenKey): string {
  return `${key.type} ${fingerprintOf(key)}`;
}

function unpublished(
  label: string,
  offered: WrittenKey,
  vouched: readonly WrittenKey[],
  source: string,
): CloudtunError {
  return new CloudtunError(
    'CT_HOST_KEY_CHANGED',
    `${label} shows a host key that is not one of those the cloud publishes`,
    {
      details: [
        ...vouched.map((key) => ['published', `${described(key)} (${source})`] as const),
        ['shown', described(offered)],
      ],
      hint: 'nothing was sent; ask who runs the machine whether its host keys were replaced, and have them published again (the guest agent does it at boot)',
    },
  );
}

function unknown(label: string, offered: WrittenKey): CloudtunError {
  return new CloudtunError('CT_HOST_KEY_CHANGED', `the host key of ${label} is not known`, {
    details: [['shown', described(offered)]],
    hint: 'nothing was sent; to trust it now and from then on, use -o StrictHostKeyChecking=accept-new',
  });
}

function changed(known: KnownHosts, label: string, offered: WrittenKey, seen: readonly KnownKey[]): CloudtunError {
  const lines = seen.map(({ line }) => line).join(', ');
  return new CloudtunError('CT_HOST_KEY_CHANGED', `${label} shows another host key than before`, {
    details: [
      ...seen.map((key) => ['known', described(key)] as const),
      ['shown', described(offered)],
      ['file', `${known.path}, line ${lines}`],
    ],
    hint: [
      'nothing was sent; ask who runs the machine whether its host keys were replaced',
      `if they were, trust the one it shows now: cloudtun ssh --forget-host-key ${label}`,
    ],
  });
}
