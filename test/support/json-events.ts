import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { EventJson } from '../../src/cli/present/event-schema.ts';

/* The published schema and not the code that it was made from: what a reader of it would check is what is checked. */
const schema = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../docs/reference/events.schema.json'), 'utf8'),
) as object;
const isEvent = new Ajv2020({ strict: false, validateFormats: false, allErrors: true }).compile<EventJson>(schema);

/** One line of `--json`, which must fit the published schema. */
export function eventIn(line: string): EventJson {
  const parsed: unknown = JSON.parse(line);
  // Of a union every branch complains; those of the event's own kind are what helps.
  assert.ok(isEvent(parsed), `no event of the published schema: ${line}`);
  return parsed;
}

/** The first whole line that says that it is an event and is none of the published schema. */
export function wrongEvent(output: string): string | undefined {
  const lines = output.split('\n').slice(0, -1);
  return lines.find((line) => line.startsWith('{"event":') && !isEvent(JSON.parse(line)));
}

/** Every line of the output of a command with `--json`; all of them must be events of the published schema. */
export function eventsIn(output: string): readonly EventJson[] {
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map(eventIn);
}
