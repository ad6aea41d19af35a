import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CloudtunError, systemCode } from '../../domain/errors.ts';
import { Secret } from '../../domain/secret.ts';
import type { IapRelayTicket } from '../../domain/ticket.ts';
import type { World } from '../../runtime/world.ts';
import type { GcpSettings } from './gcp-settings.ts';

type ClientCertificate = NonNullable<IapRelayTicket['clientCertificate']>;

/**
 * The client certificate of certificate-based access, where it is switched on (`context_aware/use_client_certificate` or
 * GOOGLE_API_USE_CLIENT_CERTIFICATE): certificate and key as files, named by `certificate_config.json`. Keys that stay in a key
 * store of the system, and providers that are programs, are not supported: cloudtun starts no helper to open a tunnel.
 *
 * @throws CT_CONFIG when it is switched on and there is none that can be used
 */
export async function clientCertificate(world: World, settings: GcpSettings): Promise<ClientCertificate | undefined> {
  if (!settings.wantsClientCertificate) return undefined;
  const path = world.env.GOOGLE_API_CERTIFICATE_CONFIG || join(settings.gcloud.folder, 'certificate_config.json');
  const { certificatePath, keyPath } = locations(await read(path, 'the certificate configuration'), path);
  const [certificate, key] = await Promise.all([
    read(certificatePath, 'the client certificate'),
    read(keyPath, 'the key of the client certificate'),
  ]);
  return { certificate, key: new Secret(key) };
}

const HINTS = [
  'name certificate and key as files (cert_configs.workload.cert_path and key_path) in GOOGLE_API_CERTIFICATE_CONFIG',
  'or switch it off: CLOUDSDK_CONTEXT_AWARE_USE_CLIENT_CERTIFICATE=false',
];

async function read(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new CloudtunError(
      'CT_CONFIG',
      `a client certificate is switched on, but ${what} cannot be read (${systemCode(error) ?? '?'}): ${path}`,
      { hint: HINTS, cause: error },
    );
  }
}

function locations(text: string, path: string): { readonly certificatePath: string; readonly keyPath: string } {
  try {
    const { cert_configs: configs } = JSON.parse(text) as {
      cert_configs?: { workload?: { cert_path?: unknown; key_path?: unknown } };
    };
    const { cert_path: certificatePath, key_path: keyPath } = configs?.workload ?? {};
    if (typeof certificatePath === 'string' && typeof keyPath === 'string') return { certificatePath, keyPath };
  } catch {
    // The same sentence as for a file of another form.
  }
  throw new CloudtunError('CT_CONFIG', `a client certificate is switched on, but ${path} names no files of one`, {
    hint: HINTS,
  });
}
