import { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { Secret } from '../../domain/secret.ts';
import type { DatabaseTarget } from '../../domain/target.ts';
import { isoTime } from '../../runtime/iso-time.ts';
import type { World } from '../../runtime/world.ts';
import type { DatabaseLogins, DatabaseToken, StoredLogin } from '../provider.ts';
import { storedLogin } from '../stored-login.ts';
import type { AwsApi } from './aws-api.ts';
import { awsErrorName } from './aws-errors.ts';
import { Sha256 } from './sha256.ts';

/** Documented: "Each token has a lifetime of 15 minutes." */
const TOKEN_FOR: Millis = 15 * 60_000;

/** Logins by tokens of RDS, which are made here and asked of nobody, and by secrets of Secrets Manager. */
export class AwsDatabaseLogins implements DatabaseLogins {
  readonly #world: World;
  readonly #api: AwsApi;

  constructor(world: World, api: AwsApi) {
    this.#world = world;
    this.#api = api;
  }

  async token(database: DatabaseTarget, user: string | undefined): Promise<DatabaseToken> {
    if (user === undefined) {
      throw new CloudtunError('CT_CONFIG', `a token for ${database.id} is made for a user, and none is named`, {
        hint: 'name it in cloudtun.yaml: user: NAME, who has rds_iam (PostgreSQL) or AWSAuthenticationPlugin (MySQL)',
      });
    }
    const { Signer } = await import('./sdk/rds-signer.ts');
    const { host, port } = database.endpoint;
    const now = this.#world.clock.wall();
    const credentials = await this.#api.credentials.current();
    const signer = new Signer({
      hostname: host,
      port,
      username: user,
      region: regionOf(host) ?? this.#api.region,
      credentials: async () => credentials,
      sha256: Sha256,
    });
    const token = new Secret(await signer.getAuthToken());
    // A token dies with the credentials that signed it.
    const end = credentials.expiration?.getTime() ?? Number.POSITIVE_INFINITY;
    const expiresAt = Math.min(now + TOKEN_FOR, end);
    this.#world.log.info(`token for ${user} at ${host}:${port}, good until ${isoTime(expiresAt)}`);
    return { user, token, expiresAt };
  }

  async stored(name: string, signal: AbortSignal): Promise<StoredLogin> {
    const call = {
      action: 'secretsmanager:GetSecretValue',
      resource: `secret ${name}`,
      doing: `read the secret ${name}`,
    };
    // An ARN says its region: arn:aws:secretsmanager:eu-west-1:111122223333:secret:name-AbCdEf
    const region = name.startsWith('arn:') ? name.split(':')[3] : undefined;
    try {
      const { SecretString, SecretBinary } = await this.#api.secretsManager(
        call,
        signal,
        (sdk, client, options) => client.send(new sdk.GetSecretValueCommand({ SecretId: name }), options),
        region,
      );
      return storedLogin(name, SecretString ?? Buffer.from(SecretBinary ?? []).toString('utf8'));
    } catch (error) {
      if (awsErrorName(error) !== 'ResourceNotFoundException') throw error;
      throw new CloudtunError(
        'CT_TARGET_NOT_FOUND',
        `Secrets Manager has no secret ${name} in ${region ?? this.#api.region}`,
        {
          hint: 'check its name, region and account',
          cause: error,
        },
      );
    }
  }

  /** RDS publishes them as a file for everybody, and no API has it. */
  async authorities(): Promise<undefined> {}
}

/** The region in an endpoint of RDS: `orders.c1abc.ap-northeast-1.rds.amazonaws.com`. A cluster of another region is signed for there. */
function regionOf(host: string): string | undefined {
  return /\.([a-z]{2}(?:-[a-z]+)+-\d)\.rds\.amazonaws\.com(?:\.cn)?$/.exec(host)?.[1];
}
