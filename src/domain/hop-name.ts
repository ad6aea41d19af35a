import { splitCloudPrefix } from './cloud-prefix.ts';
import type { ProviderId } from './target.ts';

/** A machine on the way, as a user writes it after `--via` or `-J`: `bastion`, `deploy@inner:2222`, `gcp:web-1`. */
export interface HopName {
  /** As it was written. */
  readonly written: string;
  readonly cloud?: ProviderId;
  readonly user?: string;
  /** A TARGET of spec section 3, or a host as the hop before it sees it. */
  readonly text: string;
  /** Of its SSH server. */
  readonly port?: number;
}

/**
 * Reads one hop. What has a `/` behind the `@` is a destination group (`host@region/network/group`) and no user; a number behind a
 * last colon is a port, unless the whole is an address of IPv6.
 */
export function parseHopName(written: string): HopName {
  const [, user, named] = /^([A-Za-z_][\w.-]*)@([^/]+)$/.exec(written) ?? [undefined, undefined, written];
  const { cloud, text: rest } = splitCloudPrefix(named!);
  const withPort = /^\[(.+)\](?::(\d{1,5}))?$/.exec(rest) ?? /^([^:]*(?::[^:]+=[^:]*)?):(\d{1,5})$/.exec(rest);
  const port = withPort?.[2];
  return {
    written,
    ...(cloud !== undefined && { cloud }),
    ...(user !== undefined && { user }),
    text: withPort?.[1] ?? rest,
    ...(port !== undefined && { port: Number(port) }),
  };
}
