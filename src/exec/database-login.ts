import type { CatalogueTarget, SecretSource } from '../config/catalogue.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { Secret } from '../domain/secret.ts';
import type { ProviderId, Target } from '../domain/target.ts';
import type { DatabaseLogins, Provider } from '../providers/provider.ts';

/** What a client logs in with, as far as anything says it. */
export interface DatabaseLogin {
  readonly user?: string | undefined;
  readonly password?: Secret | undefined;
  readonly isToken?: boolean;
  /** Wall clock; undefined: it does not expire. */
  readonly expiresAt?: Millis;
}

export type LoginWish = Pick<CatalogueTarget, 'user' | 'iamAuth' | 'secret'>;

/**
 * The login of a target by what the catalogue says of it: a token of the cloud, a stored secret, or the name alone.
 *
 * @param providerOf whoever reads the secrets of a cloud, which need not be the cloud of the target
 * @throws CT_CONFIG where the two do not fit each other; what the cloud's own calls throw
 */
export async function databaseLogin(
  target: Target,
  wish: LoginWish,
  provider: Provider,
  providerOf: (cloud: ProviderId) => Promise<Provider>,
  signal: AbortSignal,
): Promise<DatabaseLogin> {
  const { user, iamAuth, secret } = wish;
  if (iamAuth) {
    if (target.kind !== 'database') {
      throw new CloudtunError('CT_CONFIG', 'iamAuth is for databases that the cloud knows, and this is a host', {
        hint: 'name it by rds or sql in cloudtun.yaml, or take the password from a secret',
      });
    }
    const { token, ...login } = await loginsOf(provider).token(target, user, signal);
    return { user: login.user, password: token, isToken: true, expiresAt: login.expiresAt };
  }
  if (secret === undefined) return { user };
  const stored = await storedLogin(secret, provider, providerOf, signal);
  return { user: user ?? stored.user, password: stored.password };
}

async function storedLogin(
  { cloud, name }: SecretSource,
  provider: Provider,
  providerOf: (cloud: ProviderId) => Promise<Provider>,
  signal: AbortSignal,
) {
  const keeper = provider.id === cloud ? provider : await providerOf(cloud);
  return loginsOf(keeper).stored(name, signal);
}

function loginsOf({ databaseLogins, label }: Provider): DatabaseLogins {
  if (databaseLogins) return databaseLogins;
  throw new CloudtunError('CT_CONFIG', `${label} has no logins for databases`);
}
