import { hostname, userInfo } from 'node:os';

/** The login name on this machine and the machine's name, for records; `uid 1234` where the uid has no name (containers). */
export function hostUser(): { readonly user: string; readonly host: string } {
  let user: string;
  try {
    user = userInfo().username;
  } catch {
    user = `uid ${process.getuid?.() ?? 'unknown'}`;
  }
  return { user, host: hostname() };
}
