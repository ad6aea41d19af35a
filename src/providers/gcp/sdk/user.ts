/** A person's refresh token. By its own path: the package's index loads every kind of client. No logic here. */

export type { AuthClient } from 'google-auth-library/build/src/auth/authclient.js';
export { UserRefreshClient } from 'google-auth-library/build/src/auth/refreshclient.js';
