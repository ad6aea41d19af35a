import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { schemaTexts } from '../../scripts/events-schema.ts';
import { manifestText } from '../../scripts/manifest.ts';

const read = (path: string) => readFileSync(join(import.meta.dirname, '../..', path), 'utf8');

test('oclif.manifest.json belongs to the commands (mend: node scripts/manifest.ts)', async () => {
  assert.deepEqual(JSON.parse(await manifestText()), JSON.parse(read('oclif.manifest.json')));
});

test('events.schema.json belongs to the events (mend: node scripts/events-schema.ts)', () => {
  for (const [file, text] of schemaTexts())
    assert.deepEqual(JSON.parse(text), JSON.parse(read(`docs/reference/${file}`)));
});

test('every flag has a CLOUDTUN_ variable, none used twice for different things', () => {
  interface Flag {
    readonly name: string;
    readonly env?: string;
  }
  const { commands } = JSON.parse(read('oclif.manifest.json')) as {
    commands: Record<string, { flags: Record<string, Flag> }>;
  };
  const nameOf = new Map<string, string>();
  for (const [id, command] of Object.entries(commands)) {
    for (const flag of Object.values(command.flags)) {
      assert.match(flag.env ?? '', /^CLOUDTUN_[A-Z_]+$/, `${id} --${flag.name}`);
      assert.equal(nameOf.get(flag.env!) ?? flag.name, flag.name, flag.env);
      nameOf.set(flag.env!, flag.name);
    }
  }
  assert.ok(nameOf.size >= 6);
});
