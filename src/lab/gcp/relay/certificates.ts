/**
 * The relay's throwaway certificates: an authority that lives as long as the lab, and a server certificate for loopback that it signed
 * (RFC 5280). Keys stay in memory. DER is written here: a library for it takes 200 ms to load, which every start of the lab would pay
 * for.
 */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { isoTime } from '../../../runtime/iso-time.ts';
import type { World } from '../../../runtime/world.ts';

export interface RelayCertificates {
  /** What a client is to trust, PEM. */
  readonly authorityPem: string;
  /** The server's certificate and key, PEM. */
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** Names and addresses that the server certificate is good for. */
const DNS_NAMES = ['localhost'];
const IP_ADDRESSES = [[127, 0, 0, 1], Buffer.from('00000000000000000000000000000001', 'hex')];
const DAY = 86_400_000;
/** A clock of the client that is a little behind ours must not matter. */
const BEFORE = DAY;
const AFTER = 30 * DAY;

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OID = 0x06;
const UTF8 = 0x0c;
const TRUE = der(0x01, [0xff]);
const ECDSA_WITH_SHA256 = der(SEQUENCE, der(OID, Buffer.from('2a8648ce3d040302', 'hex')));

/** Makes both certificates; takes about a millisecond. */
export function makeCertificates(world: Pick<World, 'clock' | 'random'>): RelayCertificates {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const server = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const authorityName = distinguishedName('cloudtun lab authority');
  const make = (subject: Buffer, key: KeyObject, extensions: readonly Buffer[]) =>
    certificate(world, { issuer: authorityName, subject, key, signer: authority.privateKey, extensions });
  const identifiers = [
    extension('551d0e', false, der(OCTET_STRING, keyIdentifier(server.publicKey))),
    extension('551d23', false, der(SEQUENCE, der(0x80, keyIdentifier(authority.publicKey)))),
  ];
  return {
    authorityPem: make(authorityName, authority.publicKey, [
      extension('551d13', true, der(SEQUENCE, TRUE, der(INTEGER, [0]))),
      // keyCertSign, cRLSign
      extension('551d0f', true, der(BIT_STRING, [1, 0x06])),
      extension('551d0e', false, der(OCTET_STRING, keyIdentifier(authority.publicKey))),
    ]),
    certificatePem: make(distinguishedName('cloudtun lab relay'), server.publicKey, [
      extension('551d13', true, der(SEQUENCE)),
      // digitalSignature
      extension('551d0f', true, der(BIT_STRING, [7, 0x80])),
      // serverAuth
      extension('551d25', false, der(SEQUENCE, der(OID, Buffer.from('2b06010505070301', 'hex')))),
      extension('551d11', false, alternativeNames()),
      ...identifiers,
    ]),
    keyPem: server.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  };
}

interface CertificateFields {
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly key: KeyObject;
  readonly signer: KeyObject;
  readonly extensions: readonly Buffer[];
}

function certificate(world: Pick<World, 'clock' | 'random'>, fields: CertificateFields): string {
  const now = world.clock.wall();
  const serial = world.random.bytes(16);
  // Positive, and never with a leading zero byte.
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  const body = der(
    SEQUENCE,
    der(0xa0, der(INTEGER, [2])),
    der(INTEGER, serial),
    ECDSA_WITH_SHA256,
    fields.issuer,
    der(SEQUENCE, utcTime(now - BEFORE), utcTime(now + AFTER)),
    fields.subject,
    fields.key.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(SEQUENCE, ...fields.extensions)),
  );
  const signature = sign('sha256', body, fields.signer);
  const bytes = der(SEQUENCE, body, ECDSA_WITH_SHA256, der(BIT_STRING, [0], signature));
  const lines = bytes.toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

/** One byte of tag, the length, the content. */
function der(tag: number, ...content: readonly (Uint8Array | readonly number[])[]): Buffer {
  const body = Buffer.concat(content.map((part) => Buffer.from(part)));
  const { length } = body;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

function distinguishedName(commonName: string): Buffer {
  const attribute = der(SEQUENCE, der(OID, Buffer.from('550403', 'hex')), der(UTF8, Buffer.from(commonName)));
  return der(SEQUENCE, der(0x31, attribute));
}

function extension(oidHex: string, isCritical: boolean, value: Buffer): Buffer {
  const oid = der(OID, Buffer.from(oidHex, 'hex'));
  return der(SEQUENCE, oid, ...(isCritical ? [TRUE] : []), der(OCTET_STRING, value));
}

function alternativeNames(): Buffer {
  const names = DNS_NAMES.map((name) => der(0x82, Buffer.from(name)));
  return der(SEQUENCE, ...names, ...IP_ADDRESSES.map((address) => der(0x87, address)));
}

/** RFC 5280, 4.2.1.2: SHA-1 of the key's bits, which are the last 65 bytes of a P-256 key. */
function keyIdentifier(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }).subarray(-65))
    .digest();
}

/** `YYMMDDHHMMSSZ`, good until 2049. */
function utcTime(wall: number): Buffer {
  return der(0x17, Buffer.from(`${isoTime(wall).slice(2, 19).replaceAll(/[-:T]/g, '')}Z`));
}
