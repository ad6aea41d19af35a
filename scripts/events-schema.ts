/**
 * Writes the published JSON schemas: docs/reference/events.schema.json from src/cli/present/event-schema.ts, and
 * docs/reference/cloudtun.schema.json from src/config/schema.ts.
 *
 *     node scripts/events-schema.ts            write them
 *     node scripts/events-schema.ts --check    exit 1 when a committed one differs
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventJsonSchema } from '../src/cli/present/event-schema.ts';
import { catalogueJsonSchema } from '../src/config/json-schema.ts';

const SCHEMAS = { 'events.schema.json': eventJsonSchema, 'cloudtun.schema.json': catalogueJsonSchema };

/** File names below docs/reference, and what they hold. */
export function schemaTexts(): readonly (readonly [file: string, text: string])[] {
  return Object.entries(SCHEMAS).map(([file, schema]) => [file, `${JSON.stringify(schema(), null, 2)}\n`]);
}

if (import.meta.main) {
  for (const [file, text] of schemaTexts()) {
    const path = join(import.meta.dirname, '../docs/reference', file);
    if (!process.argv.includes('--check')) writeFileSync(path, text);
    else if (readFileSync(path, 'utf8') !== text) {
      process.stderr.write(`docs/reference/${file} is out of date: run node scripts/events-schema.ts\n`);
      process.exitCode = 1;
    }
  }
}
