import { CloudtunError } from '../domain/errors.ts';
import { xdgPaths } from '../runtime/paths.ts';
import type { Environment, World } from '../runtime/world.ts';
import type { Origin } from './protocol.ts';

/** What tunnels, clouds and their credentials look at. */
const MATTERS =
  /^(AWS_|GOOGLE_|GCE_|GCLOUD_|CLOUDSDK_|CLOUDTUN_|XDG_|METADATA_SERVER_DETECTION$|NODE_EXTRA_CA_CERTS$|SSL_CERT_|SSH_AUTH_SOCK$|HOME$|USER$|LOGNAME$|PATH$|TZ$|LANG$|LC_|TMPDIR$)|^(https?|no|all)_proxy$/i;

/** The output of a command is its own, whoever holds the tunnel. */
const OWN = /^CLOUDTUN_(JSON|QUIET|VERBOSE|NO_INPUT|FOREGROUND|PORT)$/;

/**
 * Read by the SDKs from the environment of the process itself, so a supervisor cannot have two values of them. Everything else is
 * taken from the request.
 */
const OF_THE_PROCESS =
  /^(HOME$|AWS_(WEB_IDENTITY_TOKEN_FILE|ROLE_ARN|ROLE_SESSION_NAME|CONTAINER_|EC2_METADATA_|SDK_|STS_)|NODE_EXTRA_CA_CERTS$)/;

/** Where this command runs, as a supervisor is told. */
export function originOf({ cwd, env }: Pick<World, 'cwd' | 'env'>): Origin {
  return { cwd, env: relevant(env) };
}

export function relevant(env: Environment): Readonly<Record<string, string>> {
  const kept = Object.entries(env).filter(([name]) => MATTERS.test(name) && !OWN.test(name));
  return Object.fromEntries(kept.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/**
 * The world of a request: this process's clock and log, the requester's environment and directories.
 *
 * @throws CT_SUPERVISOR when the request needs another environment of the process than the supervisor was started with
 */
export function worldOf(world: World, { cwd, env }: Origin): World {
  const own = relevant(world.env);
  const foreign = [...new Set([...Object.keys(own), ...Object.keys(env)])].find(
    (name) => OF_THE_PROCESS.test(name) && own[name] !== env[name],
  );
  if (foreign !== undefined) {
    throw new CloudtunError('CT_SUPERVISOR', `the supervisor was started with another ${foreign}`, {
      hint: ['end it, then start it from here: cloudtun down', 'or hold these tunnels here: cloudtun up --foreground'],
    });
  }
  return { ...world, cwd, env, paths: xdgPaths(env) };
}
