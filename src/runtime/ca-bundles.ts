import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { getCACertificates } from 'node:tls';
import { CloudtunError } from '../domain/errors.ts';
import type { Environment } from './world.ts';

/** Of AWS's tools, of Node, of gcloud, and our own for a relay with a certificate of its own (the lab). */
const VARIABLES = [
  'AWS_CA_BUNDLE',
  'NODE_EXTRA_CA_CERTS',
  'CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE',
  'CLOUDTUN_GCP_CA_FILE',
] as const;

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
 * The roots to trust: those Node trusts by default and, in addition, the bundles that the variables name. Node reads
 * NODE_EXTRA_CA_CERTS only at its own start and only warns when it cannot, so we read it again. Undefined when none is set: leave
 * the `ca` option out then.
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
