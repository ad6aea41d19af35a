import { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { Secret } from '../../domain/secret.ts';
import { SIGN_IN_HINTS } from './credential-file.ts';
import { readIfThere } from './gcloud-folder.ts';
import type { HttpAnswer } from './http-sender.ts';
import type { MintContext, TokenMint } from './token-clients.ts';

/** It is one hop away or not there at all; on a laptop nobody should wait for it longer. */
const NEAR: Millis = 1_000;
/** Where the firmware says whose machine this is (Linux). */
const PRODUCT_NAME = '/sys/class/dmi/id/product_name';

export interface MetadataOptions {
  /** False: it was switched off, so do not ask. */
  readonly mayAsk: boolean;
}

/** Tokens of the machine's own service account, on Compute Engine, GKE, Cloud Run and the like. */
export function metadataMint(context: MintContext, { mayAsk }: MetadataOptions): TokenMint & MetadataReader {
  const { world, http, endpoints } = context;
  const read = async (path: string, signal?: AbortSignal): Promise<HttpAnswer> => {
    const url = endpoints.url('metadata', `/v1/${path}`);
    return http.send({ method: 'GET', url, headers: { 'metadata-flavor': 'Google' }, within: NEAR }, signal);
  };
  const readText = async (path: string, signal?: AbortSignal): Promise<string | undefined> => {
    const answer = await read(path, signal).catch(() => undefined);
    signal?.throwIfAborted();
    return answer?.status === 200 ? answer.body.trim() : undefined;
  };
  const isLikely = () =>
    Boolean(world.env.GCE_METADATA_HOST || world.env.GCE_METADATA_IP) ||
    world.env.METADATA_SERVER_DETECTION === 'assume-present' ||
    Boolean(world.env.K_SERVICE || world.env.CLOUD_RUN_JOB) ||
    readIfThere(PRODUCT_NAME)?.startsWith('Google') === true;

  return {
    source: 'metadata server',
    principal: undefined,
    project: undefined,
    quotaProject: undefined,
    projectId: (signal) => readText('project/project-id', signal),
    async mint(signal) {
      if (!mayAsk || !isLikely()) throw noCredentials(undefined);
      let answer: HttpAnswer;
      try {
        answer = await read('instance/service-accounts/default/token', signal);
      } catch (error) {
        signal?.throwIfAborted();
        throw noCredentials(error);
      }
      const body = answer.status === 200 ? (JSON.parse(answer.body) as Record<string, unknown>) : {};
      if (typeof body.access_token !== 'string') {
        throw new CloudtunError('CT_NO_CREDENTIALS', 'this machine has no service account, or one without scopes', {
          details: [['metadata server', `HTTP ${answer.status}`]],
          hint: 'give the machine a service account with the scope cloud-platform, or sign in with: gcloud auth application-default login',
        });
      }
      const seconds = typeof body.expires_in === 'number' ? body.expires_in : undefined;
      const email = await readText('instance/service-accounts/default/email', signal);
      return {
        token: new Secret(body.access_token),
        expiresAt: seconds === undefined ? undefined : world.clock.wall() + seconds * 1_000,
        ...(email === undefined ? {} : { email }),
      };
    },
  };
}

export interface MetadataReader {
  /** The project of the machine. */
  projectId(signal?: AbortSignal): Promise<string | undefined>;
}

function noCredentials(cause: unknown): CloudtunError {
  return new CloudtunError(
    'CT_NO_CREDENTIALS',
    'no Google Cloud credentials were found (GOOGLE_APPLICATION_CREDENTIALS, application default credentials, metadata server)',
    { hint: [...SIGN_IN_HINTS, 'or try it without an account: cloudtun demo'], cause },
  );
}
