import type { LoginListener } from '../ssh/open-login.ts';
import { printable } from './present/printable.ts';
import type { Terminal } from './terminal.ts';

/** A banner of a hostile server is cut after so many lines. */
const BANNER_LINES = 40;

/** The same for a login that may be made again: who and how is said once, a new host key always. */
export function repeatedLoginListener(terminal: Terminal): LoginListener {
  const first = loginListener(terminal);
  let isRepeated = false;
  return {
    onUser: (user, reason) => {
      if (!isRepeated) first.onUser(user, reason);
    },
    onAdmitted: (login) => {
      if (!isRepeated) first.onAdmitted(login);
    },
    onHostKey: (verdict) => {
      first.onHostKey(verdict);
      isRepeated = true;
    },
    onBanner: () => {},
  };
}

/** What `ssh` says on stderr before the session begins. */
export function loginListener(terminal: Terminal): LoginListener {
  return {
    onUser: (user, reason) => terminal.note(`  as ${printable(user)} (${printable(reason)}; another with -l)`),
    onAdmitted: ({ by }) => terminal.progress(`key let in by ${by}, logging in ...`),
    onHostKey: ({ trust, type, fingerprint }) => {
      if (trust === 'first-use') {
        terminal.note(`  host key ${printable(type)} ${fingerprint}: seen for the first time, trusted from now on`);
      }
    },
    onBanner: (text) => {
      for (const line of text.trimEnd().split('\n').slice(0, BANNER_LINES)) terminal.note(printable(line.trimEnd()));
    },
  };
}
