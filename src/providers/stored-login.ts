import { CloudtunError } from '../domain/errors.ts';
import { Secret } from '../domain/secret.ts';
import type { StoredLogin } from './provider.ts';

/**
 * The login in the text of a secret: JSON with `username` and `password`, as RDS keeps those it manages itself, or the password alone.
 * A line break at the end is what an editor or `echo` left there.
 *
 * @param name of the secret, for errors
 * @throws CT_CONFIG for one that is empty, or JSON without a password
 */
export function storedLogin(name: string, text: string): StoredLogin {
  const object = objectOf(text);
  if (object === undefined) {
    const password = text.replace(/\r?\n$/, '');
    if (password !== '') return { password: new Secret(password) };
    throw new CloudtunError('CT_CONFIG', `the secret ${name} is empty`);
  }
  const { username, user, password } = object;
  const login = [username, user].find((each) => typeof each === 'string' && each !== '');
  if (typeof password !== 'string' || password === '') {
    throw new CloudtunError('CT_CONFIG', `the secret ${name} is JSON without a password`, {
      hint: 'it should be {"username": …, "password": …}, or the password alone',
    });
  }
  return { password: new Secret(password), ...(typeof login === 'string' && { user: login }) };
}

function objectOf(text: string): Readonly<Record<string, unknown>> | undefined {
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    // A password may begin with a brace.
    return undefined;
  }
}
