import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { getCACertificates } from 'node:tls';
import { CloudtunError } from '../domain/errors.ts';
import type { Environment } from './world.ts';

const VARIABLES = ['AWS_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS'] as const;

async function readBundle(variable: string, path: string): Promise<string> {
  const failure = (what: string, cause?: unknown) =>
    new CloudtunError('CT_TLS', `the CA bundle that ${variable} names ${what}: ${path}`, {
      hint: `point ${variable} at a readable PEM file with CA certificates, or unset it`,
      cause,
    });
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw failure('cannot be read', error);
  }
  const certificates = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (certificates.length === 0) throw failure('holds no PEM certificate');
  try {
    // TLS itself passes over what it cannot parse, and the connection fails later without a word about the bundle.
    for (const certificate of certificates) new X509Certificate(certificate);
  } catch (error) {
    throw failure('holds a certificate that cannot be parsed', error);
  }
  return text;
}

/**
 * The roots to trust: those Node trusts by default and, in addition, the bundles of AWS_CA_BUNDLE and NODE_EXTRA_CA_CERTS. Node reads
 * the latter only at its own start and only warns when it cannot, so we read it again. Undefined when neither is set: leave the
 * `ca` option out then.
 *
 * @throws CT_TLS when a named bundle cannot be read or parsed: going on without it would fail later and say less
 */
export async function trustedRoots(env: Environment): Promise<string[] | undefined> {
  const bundles: string[] = [];
  for (const variable of VARIABLES) {
    const path = env[variable];
    if (path) bundles.push(await readBundle(variable, path));
  }
  return bundles.length === 0 ? undefined : [...new Set([...getCACertificates('default'), ...bundles])];
}
