import { lookup } from 'node:dns/promises';

/** The addresses of a name, sorted; undefined where this machine does not know it. Never rejects. */
export type HostResolver = (host: string) => Promise<readonly string[] | undefined>;

/** As this machine's programs see it: hosts file, VPN and all. Private zones are often not visible from here. */
export const resolveHost: HostResolver = async (host) => {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address).sort();
  } catch {
    return undefined;
  }
};
