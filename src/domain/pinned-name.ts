import type { GrantVerb } from './grant.ts';

/** What every name that cloudtun makes in a cloud begins with. */
export const OWN_PREFIX = 'cloudtun-';

/** Session documents may have 128 characters of these (`ssm:CreateDocument`); other clouds' names are made of it by their own rules. */
const LONGEST = 128;

/**
 * What the cloud's own object for one thing of the catalogue is called: `cloudtun-prod`, `cloudtun-web-ssh`, `cloudtun-app-logs`. The
 * same on every machine, so that a client finds it without asking. Two names of the catalogue that look the same when characters that
 * no cloud takes are replaced are told apart by a digest in the catalogue's check.
 */
export function pinnedName(name: string, verb: GrantVerb): string {
  const tail = verb === 'connect' ? '' : `-${verb}`;
  return `${OWN_PREFIX}${name.replaceAll(/[^A-Za-z0-9_.-]+/g, '-')}`.slice(0, LONGEST - tail.length) + tail;
}
