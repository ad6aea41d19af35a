/**
 * A node:test reporter that writes one JSON line per finished test, for scripts/test.ts to read. Suites are left out: they are
 * headings, their tests count.
 */
import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';

/** What one line holds. */
export type TestLine =
  | {
      readonly kind: 'passed' | 'failed' | 'skipped';
      /** `suite > test > subtest`. */
      readonly name: string;
      readonly durationMs: number;
      /** Why it was skipped, or the error with its stack. */
      readonly text?: string;
      /** True for a test that failed only because one of its subtests did. */
      readonly bySubtest?: boolean;
    }
  | { readonly kind: 'note'; readonly text: string };

/** node:test's own closing figures arrive as diagnostics too; scripts/test.ts counts for itself. */
const SUMMARY = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

export default async function* testEvents(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const path: string[] = [];
  for await (const event of source) {
    if (event.type === 'test:start') {
      path.length = event.data.nesting;
      path.push(event.data.name);
    } else if (event.type === 'test:pass' || event.type === 'test:fail') {
      const { data } = event;
      path.length = data.nesting;
      const name = [...path, data.name].join(' > ');
      if (data.details.type === 'suite') continue;
      yield `${JSON.stringify(lineOf(event, name))}\n`;
    } else if (event.type === 'test:diagnostic' && !SUMMARY.test(event.data.message)) {
      yield `${JSON.stringify({ kind: 'note', text: event.data.message } satisfies TestLine)}\n`;
    }
  }
}

function lineOf(event: Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>, name: string): TestLine {
  const durationMs = event.data.details.duration_ms;
  const skipped = event.data.skip ?? event.data.todo;
  if (skipped !== undefined && skipped !== false) {
    return { kind: 'skipped', name, durationMs, text: typeof skipped === 'string' ? skipped : 'no reason given' };
  }
  if (event.type === 'test:pass') return { kind: 'passed', name, durationMs };
  const { error } = event.data.details;
  const bySubtest = 'failureType' in error && error.failureType === 'subtestsFailed';
  return { kind: 'failed', name, durationMs, bySubtest, text: inspect(error.cause ?? error, { depth: 6 }) };
}
