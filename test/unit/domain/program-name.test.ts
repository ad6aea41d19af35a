import assert from 'node:assert/strict';
import { test } from 'node:test';
import { programName } from '../../../src/domain/program-name.ts';

test('the name of the program and never more', () => {
  const names = new Map([
    ['mysqldump --password=secret orders', 'mysqldump'],
    ['/usr/bin/systemctl restart web', 'systemctl'],
    ['PGPASSWORD=secret LANG=C psql -c "select 1"', 'psql'],
    ['  uptime', 'uptime'],
    ['$(cat /etc/secret)', 'a script'],
    ['echo;rm', 'a script'],
    ['"my tool" x', 'a script'],
    ['TOKEN=secret', 'a script'],
    ['', 'a script'],
    [`${'x'.repeat(200)}`, 'a script'],
  ]);
  for (const [command, name] of names) assert.equal(programName(command), name, command);
});
