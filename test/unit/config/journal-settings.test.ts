import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_CATALOGUE } from '../../../src/config/catalogue.ts';
import { auditOf, journalSettings } from '../../../src/config/journal-settings.ts';

test('where the journal is, how long it is kept, and whether it must be written', () => {
  const settings = (audit: object, policy: object = {}) => journalSettings({ ...NO_CATALOGUE, audit, policy });
  assert.deepEqual(settings({}), { isRequired: true });
  assert.deepEqual(settings({ journal: 'default', keep: 'none' }, { journal: 'required' }), { isRequired: true });
  assert.deepEqual(settings({ journal: '/var/log/ct/', keep: '30d' }, { journal: 'warn' }), {
    isRequired: false,
    configured: '/var/log/ct/',
    keep: 30 * 86_400_000,
  });
});

test('a path without a root is one from the file that says it', () => {
  const at = (journal: string) => auditOf('/srv/shop/cloudtun.yaml', { journal }).journal;
  assert.equal(at('log/'), '/srv/shop/log/');
  assert.equal(at('../journal.jsonl'), '/srv/journal.jsonl');
  assert.equal(at('/var/log/ct/'), '/var/log/ct/');
  assert.equal(at('default'), 'default');
  assert.deepEqual(auditOf('/srv/cloudtun.yaml'), {});
});
