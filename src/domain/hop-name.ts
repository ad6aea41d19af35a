import { splitCloudPrefix } from './cloud-prefix.ts';
import { CloudtunError } from './errors.ts';
import type { ProviderId } from './target.ts';

const LARGEST_PORT = 65_535;

/** A machine on the way, as a user writes it after `--via` or `-J`: `bastion`, `deploy@inner:2222`, `gcp:web-1`. */
export interface HopName {
  /** As it was written. */
  readonly written: string;
  readonly cloud?: ProviderId;
  readonly user?: string;
  /** As whom, if it has to be logged in to; `user` asks for it. */
  readonly usualUser?: string;
  /** A TARGET of spec section 3, or a host as the hop before it sees it. */
  readonly text: string;
  /** Of its SSH server. */
  readonly port?: number;
}

/**
 * Reads one hop. What has a `/` behind the `@` is a destination group (`host@region/network/group`) and no user; a number behind a
 * last colon is a port, unless the whole is an address of IPv6.
 *
 * @throws CT_USAGE for what names nothing, or no port that there is
 */
export function parseHopName(written: string): HopName {
  const [, user, named] = /^([A-Za-z_][\w.-]*)@([^/]+)$/.exec(written) ?? [undefined, undefined, written];
  const { cloud, text: rest } = splitCloudPrefix(named!);
  const withPort = /^\[(.+)\](?::(\d{1,5}))?$/.exec(rest) ?? /^([^:]*(?::[^:]+=[^:]*)?):(\d{1,5})$/.exec(rest);
  const port = withPort?.[2];
  const text = withPort?.[1] ?? rest;
  if (text === '') throw new CloudtunError('CT_USAGE', `"${written}" on the way names no machine`);
  if (port !== undefined && (Number(port) < 1 || Number(port) > LARGEST_PORT)) {
    throw new CloudtunError('CT_USAGE', `"${written}" on the way names port ${port}; there are 1 to ${LARGEST_PORT}`);
  }
  return {
    written,
    ...(cloud !== undefined && { cloud }),
    ...(user !== undefined && { user }),
    text,
    ...(port !== undefined && { port: Number(port) }),
  };
}
