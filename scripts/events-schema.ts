/**
 * Writes docs/reference/events.schema.json from src/cli/present/event-schema.ts.
 *
 *     node scripts/events-schema.ts            write it
 *     node scripts/events-schema.ts --check    exit 1 when the committed one differs
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventJsonSchema } from '../src/cli/present/event-schema.ts';

const path = join(import.meta.dirname, '../docs/reference/events.schema.json');

export function eventsSchemaText(): string {
  return `${JSON.stringify(eventJsonSchema(), null, 2)}\n`;
}

if (import.meta.main) {
  if (!process.argv.includes('--check')) writeFileSync(path, eventsSchemaText());
  else if (readFileSync(path, 'utf8') !== eventsSchemaText()) {
    process.stderr.write('docs/reference/events.schema.json is out of date: run node scripts/events-schema.ts\n');
    process.exitCode = 1;
  }
}
