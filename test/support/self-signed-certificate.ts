import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** A key and a certificate that signs itself, made anew for each test run: no private key lies in the repository. */
export interface SelfSigned {
  readonly keyPem: string;
  readonly certificatePem: string;
}

/** DER: one byte of tag, the length, the content. */
function der(tag: number, ...content: (Buffer | readonly Buffer[])[]): Buffer {
  const body = Buffer.concat(content.flat());
  const length =
    body.length < 0x80
      ? Buffer.from([body.length])
      : body.length < 0x100
        ? Buffer.from([0x81, body.length])
        : Buffer.from([0x82, body.length >> 8, body.length & 0xff]);
  return Buffer.concat([Buffer.from([tag]), length, body]);
}

const SEQUENCE = 0x30;
const ECDSA_WITH_SHA256 = der(SEQUENCE, der(0x06, Buffer.from('2a8648ce3d040302', 'hex')));

function distinguishedName(commonName: string): Buffer {
  const attribute = der(SEQUENCE, der(0x06, Buffer.from('550403', 'hex')), der(0x0c, Buffer.from(commonName)));
  return der(SEQUENCE, der(0x31, attribute));
}

function extension(oidHex: string, value: Buffer): Buffer {
  return der(SEQUENCE, der(0x06, Buffer.from(oidHex, 'hex')), der(0x04, value));
}

/** RFC 5280: version 3, P-256, valid from 2020 to 2049, good as its own CA, for one DNS name and 127.0.0.1. */
export function selfSignedCertificate(dnsName: string): SelfSigned {
  const keys = newKeys();
  const alternativeNames = der(SEQUENCE, der(0x82, Buffer.from(dnsName)), der(0x87, Buffer.from([127, 0, 0, 1])));
  return pem(keys, certificate(dnsName, keys.publicKey, { name: dnsName, keys }, alternativeNames, true));
}

/** An authority, and the certificates that it gives: each for one DNS name and no address, as those of the clouds' databases. */
export function testAuthority(name: string): { readonly certificatePem: string; issue(dnsName: string): SelfSigned } {
  const keys = newKeys();
  const alternativeNames = der(SEQUENCE, der(0x82, Buffer.from(name)));
  return {
    certificatePem: pem(keys, certificate(name, keys.publicKey, { name, keys }, alternativeNames, true)).certificatePem,
    issue: (dnsName) => {
      const own = newKeys();
      const names = der(SEQUENCE, der(0x82, Buffer.from(dnsName)));
      return pem(own, certificate(dnsName, own.publicKey, { name, keys }, names, false));
    },
  };
}

interface Keys {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

const newKeys = (): Keys => generateKeyPairSync('ec', { namedCurve: 'P-256' });

function certificate(
  subject: string,
  publicKey: KeyObject,
  issuer: { readonly name: string; readonly keys: Keys },
  alternativeNames: Buffer,
  isAuthority: boolean,
): Buffer {
  const constraints = isAuthority ? der(SEQUENCE, der(0x01, Buffer.from([0xff]))) : der(SEQUENCE);
  // Its first bit is clear, so that it is a positive number of eight bytes.
  const serial = randomBytes(8);
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  const body = der(
    SEQUENCE,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ECDSA_WITH_SHA256,
    distinguishedName(issuer.name),
    der(SEQUENCE, der(0x17, Buffer.from('200101000000Z')), der(0x17, Buffer.from('491231235959Z'))),
    distinguishedName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(SEQUENCE, extension('551d11', alternativeNames), extension('551d13', constraints))),
  );
  const signature = sign('sha256', body, issuer.keys.privateKey);
  return der(SEQUENCE, body, ECDSA_WITH_SHA256, der(0x03, Buffer.from([0]), signature));
}

function pem({ privateKey }: Keys, signed: Buffer): SelfSigned {
  const lines = signed.toString('base64').replace(/.{64}/g, '$&\n');
  return {
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    certificatePem: `-----BEGIN CERTIFICATE-----\n${lines.trimEnd()}\n-----END CERTIFICATE-----\n`,
  };
}
