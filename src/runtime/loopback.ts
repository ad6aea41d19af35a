import { networkInterfaces } from 'node:os';

/** The loopback addresses that this machine has, IPv4 first: what a listener binds unless told otherwise. */
export function loopbackAddresses(): readonly string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.some((entry) => entry.address === '::1') ? ['127.0.0.1', '::1'] : ['127.0.0.1'];
}

/** True for 127.0.0.0/8 and ::1, in any spelling Node gives an address of a socket. */
export function isLoopbackAddress(address: string): boolean {
  const plain = address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '');
  return plain === '::1' || /^127\.\d+\.\d+\.\d+$/.test(plain);
}
