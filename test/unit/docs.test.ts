import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { CONFIRM_LIMIT_MS, GRACE_MS } from '../../src/transport/iap/core/half-close.ts';
import { RECONNECT_LIMIT_MS } from '../../src/transport/iap/core/reconnect-delay.ts';
import { MAX_PAYLOAD } from '../../src/transport/iap/core/relay-frame.ts';
import {
  ACK_BYTES,
  ACK_DELAY_MS,
  ACK_PATIENCE_MS,
  PATIENT_UPLOAD_BYTES,
  UPLOAD_BYTES,
} from '../../src/transport/iap/core/relay-session.ts';
import { FIRST_FRAME_LIMIT_MS } from '../../src/transport/iap/relay-link.ts';
import { MOST_HELD_BYTES } from '../../src/transport/iap/relay-stream.ts';
import { SMUX_MAX_SENT_PAYLOAD } from '../../src/transport/smux/core/frame.ts';
import { MAX_HELD_PER_SESSION, MAX_HELD_PER_STREAM } from '../../src/transport/smux/mux.ts';
import { ACKNOWLEDGE_DELAY_MS, MAX_PAUSE_MS } from '../../src/transport/ssm/core/data-channel.ts';
import { MAX_WINDOW_BYTES, MIN_WINDOW_BYTES } from '../../src/transport/ssm/core/pacer.ts';
import { MAX_REORDERED_BYTES, MAX_REORDERED_MESSAGES } from '../../src/transport/ssm/core/reorder-buffer.ts';
import { BASIC_CLIENT_VERSION, CLIENT_VERSION } from '../../src/transport/ssm/core/version-gates.ts';
import { DEFAULT_MESSAGE_PAYLOAD } from '../../src/transport/ssm/core/wire-format.ts';
import { MAX_SIBLING_STALL_MS } from '../../src/transport/ssm/mux-port.ts';
import { KEEP_ALIVE_INTERVAL_MS, PONG_DEADLINE_MS } from '../../src/transport/ws/message-pump.ts';

const root = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const pages = globSync(['*.md', 'docs/**/*.md', 'changes/*.md'], { cwd: root }).sort();

/** Headings of a page, without code blocks. */
function headings(page: string): string[] {
  const text = read(page).replaceAll(/^```[\s\S]*?^```/gm, '');
  return [...text.matchAll(/^#+ +(.+?) *$/gm)].map(([, heading]) => heading!);
}

/** As GitHub makes them. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-');

test('every link between pages leads somewhere', () => {
  const broken = pages.flatMap((page) =>
    [
      ...read(page)
        .replaceAll(/^```[\s\S]*?^```/gm, '')
        .matchAll(/\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]+))?\)/g),
    ]
      .filter(([, path = '', anchor]) => {
        const target = path === '' ? page : join(dirname(page), path);
        if (!existsSync(join(root, target))) return true;
        return anchor !== undefined && !headings(target).map(anchorOf).includes(anchor);
      })
      .map(([link]) => `${page}: ${link}`),
  );
  assert.ok(broken.length === 0, broken.join('\n'));
});

test('every page and heading that a comment cites exists', () => {
  let cited = 0;
  const missing = globSync(['src/**/*.ts', 'test/**/*.ts', 'scripts/*.ts'], { cwd: root }).flatMap((file) => {
    // A citation may go on in the next line of its comment.
    const text = read(file).replaceAll(/\n\s*(?:\*(?!\/)|\/\/)?\s*/g, ' ');
    return [...text.matchAll(/(docs\/[\w/-]+\.md)((?:(?:,| and| to)? ?"[^"]+")*)/g)].flatMap(
      ([, page = '', names = '']) => {
        cited++;
        if (!existsSync(join(root, page))) return [`${file} cites ${page}`];
        const known = headings(page);
        return [...names.matchAll(/"([^"]+)"/g)]
          .filter(([, name]) => !known.includes(name!))
          .map(([, name]) => `${file} cites ${page}, "${name}"`);
      },
    );
  });
  assert.ok(cited > 20, `${cited} citations found`);
  assert.ok(missing.length === 0, missing.join('\n'));
});

test('an ADR has its number, its status and the three parts', () => {
  const records = globSync('docs/adr/*.md', { cwd: root }).sort();
  assert.ok(records.length > 0);
  for (const [index, record] of records.entries()) {
    assert.match(record, new RegExp(`/${String(index + 1).padStart(4, '0')}-[a-z0-9-]+\\.md$`));
    assert.deepEqual(
      headings(record)
        .slice(1)
        .filter((heading) => ['Context', 'Decision', 'Consequences'].includes(heading)),
      ['Context', 'Decision', 'Consequences'],
      record,
    );
  }
});

/** Figures that a page states, each made of the constant it speaks of. */
const MIB = 1024 * 1024;
const FIGURES: readonly (readonly [page: string, text: string])[] = [
  ['docs/protocol/smux.md', `| held for one stream | ${MAX_HELD_PER_STREAM / MIB} MiB |`],
  ['docs/protocol/smux.md', `| held for all streams of a session | ${MAX_HELD_PER_SESSION / MIB} MiB |`],
  ['docs/protocol/smux.md', `| a stall while siblings are open | ${MAX_SIBLING_STALL_MS / 1_000} s |`],
  ['docs/protocol/smux.md', `Senders cut writes at ${SMUX_MAX_SENT_PAYLOAD.toLocaleString('en')} bytes`],
  ['docs/protocol/ssm.md', `cloudtun pings every ${KEEP_ALIVE_INTERVAL_MS / 1_000} s`],
  ['docs/protocol/ssm.md', `a missing pong ends it after ${PONG_DEADLINE_MS / 1_000} s`],
  ['docs/protocol/ssm.md', `collects acknowledges for ${ACKNOWLEDGE_DELAY_MS} ms`],
  [
    'docs/protocol/ssm.md',
    `keep up to ${MAX_REORDERED_MESSAGES.toLocaleString('en')} messages and ${MAX_REORDERED_BYTES / MIB} MiB`,
  ],
  ['docs/protocol/ssm.md', `between ${MIN_WINDOW_BYTES / 1024} KiB and ${MAX_WINDOW_BYTES / MIB} MiB`],
  ['docs/protocol/ssm.md', `for at most ${MAX_PAUSE_MS / 1_000} s, and discards nothing`],
  ['docs/protocol/ssm.md', `cloudtun calls itself ${CLIENT_VERSION}, or ${BASIC_CLIENT_VERSION} to force basic mode`],
  ['docs/protocol/ssm.md', `cloudtun sends ${DEFAULT_MESSAGE_PAYLOAD.toLocaleString('en')} bytes at most`],
  ['docs/protocol/iap.md', `puts ${MAX_PAYLOAD.toLocaleString('en')} bytes into a DATA frame at most`],
  ['docs/protocol/iap.md', `at once from ${ACK_BYTES / 1024} KiB on, and after ${ACK_DELAY_MS} ms whatever it is`],
  ['docs/protocol/iap.md', `while ${MOST_HELD_BYTES / MIB} MiB wait`],
  ['docs/protocol/iap.md', `while ${UPLOAD_BYTES / MIB} MiB are not confirmed`],
  [
    'docs/protocol/iap.md',
    `for ${ACK_PATIENCE_MS / 1_000} s though everything was sent, ${PATIENT_UPLOAD_BYTES / MIB} MiB may wait`,
  ],
  ['docs/protocol/iap.md', `for ${RECONNECT_LIMIT_MS / 60_000} minutes in all`],
  ['docs/protocol/iap.md', `within ${FIRST_FRAME_LIMIT_MS / 1_000} s after 101`],
  ['docs/protocol/iap.md', `the upload is confirmed (${CONFIRM_LIMIT_MS / 1_000} s at most)`],
  ['docs/protocol/iap.md', `nothing came for ${GRACE_MS / 1_000} s`],
  ['docs/adr/0013-iap-half-close.md', `nothing has come for ${GRACE_MS / 1_000} s`],
];

for (const [page, text] of FIGURES) {
  test(`${page} says: ${text}`, () => {
    assert.ok(read(page).replaceAll(/\s+/g, ' ').includes(text), `${page} does not say "${text}"`);
  });
}
