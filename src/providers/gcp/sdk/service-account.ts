/** A service account's key. No logic here. */
export { JWT } from 'google-auth-library/build/src/auth/jwtclient.js';
