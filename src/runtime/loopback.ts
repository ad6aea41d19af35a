import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';

/** The loopback addresses that this machine has, IPv4 first: what a listener binds unless told otherwise. */
export function loopbackAddresses(): readonly string[] {
  return hasAddress((entry) => entry.address === '::1') ? ['127.0.0.1', '::1'] : ['127.0.0.1'];
}

/** The addresses meant by what a person calls an address to bind: `localhost` and `*` stand for one of each family there is. */
export function bindAddresses(bind: string): readonly string[] {
  if (bind === 'localhost') return loopbackAddresses();
  if (bind !== '*') return [bind];
  return hasAddress((entry) => entry.family === 'IPv6') ? ['0.0.0.0', '::'] : ['0.0.0.0'];
}

function hasAddress(isIt: (entry: NetworkInterfaceInfo) => boolean): boolean {
  return Object.values(networkInterfaces()).some((list) => list?.some(isIt));
}

/** True for 127.0.0.0/8 and ::1, in any spelling Node gives an address of a socket. */
export function isLoopbackAddress(address: string): boolean {
  const plain = address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '');
  return plain === '::1' || /^127\.\d+\.\d+\.\d+$/.test(plain);
}
