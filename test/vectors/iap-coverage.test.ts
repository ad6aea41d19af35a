import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { allIapVectors } from '../support/iap-vectors.ts';

/** Groups that are about something else than the relay, and are not spoken here. */
const OTHER: Readonly<Record<string, string>> = {
  meta: 'what the file is',
  securityGateway: 'another protocol on another host (HTTP CONNECT with a resource key); cloudtun has no command for it',
  ssh: 'keys and names of logins on a machine, behind the tunnel: the business of an SSH client, not of the relay',
};

test('no group of the IAP vectors is left unrun', (t) => {
  const groups = Object.keys(allIapVectors).filter((key) => !(key in OTHER));
  const sources = globSync('iap-*.test.ts', { cwd: import.meta.dirname }).map((file) =>
    readFileSync(`${import.meta.dirname}/${file}`, 'utf8'),
  );
  for (const group of groups) {
    const runners = sources.filter(
      (source) => source.includes(`iapVectors('${group}')`) && source.includes(`reportIapVectors(t, '${group}', `),
    );
    assert.ok(runners.length > 0, `group ${group} has a test`);
  }
  t.diagnostic(`${groups.length} groups, each with a test`);
  for (const [group, reason] of Object.entries(OTHER)) t.diagnostic(`${group}: ${reason}`);
});
