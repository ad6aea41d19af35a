import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { cefLine } from '../../../src/audit/core/export-cef.ts';
import { csvHeader, csvLine } from '../../../src/audit/core/export-csv.ts';
import { ocsfLine } from '../../../src/audit/core/export-ocsf.ts';
import { type LineFilter, LineSelection, type ToldLine } from '../../../src/audit/core/line-selection.ts';
import { auditLine } from '../../../src/cli/present/audit-lines.ts';

const TIME = Date.UTC(2026, 10, 22, 9);
const TUNNEL = '3f2a91bc-0ba8-4ecf-bf95-046ad74175b5';
const OTHER = '11111111-0ba8-4ecf-bf95-046ad74175b5';

const line = (seconds: number, event: Record<string, unknown>) => ({
  time: TIME + seconds * 1_000,
  event: { time: new Date(TIME + seconds * 1_000).toISOString(), ...event, segment: 'S', seq: seconds, hash: 'h' },
});

const LINES = [
  line(1, {
    event: 'open',
    tunnel: TUNNEL,
    person: 'arn:aws:iam::111122223333:user/alice',
    name: 'alice',
    account: '111122223333',
    hostUser: 'al',
    host: 'laptop-7',
    pid: 4_711,
    place: 'aws ap-northeast-1',
    asked: 'prod',
    target: 'orders-prod',
    targetId: 'orders-prod',
    node: 'i-0abc',
    to: 'orders.internal:3306',
    document: 'cloudtun-prod',
    reason: '=HYPERLINK("http://bad") | a=b, "c"\nd',
  }),
  line(2, { event: 'session', tunnel: TUNNEL, change: 'started', session: 'alice-01' }),
  line(3, {
    event: 'client',
    tunnel: TUNNEL,
    change: 'connected',
    from: '127.0.0.1:50000',
    to: 'orders.internal:3306',
  }),
  line(4, {
    event: 'client',
    tunnel: TUNNEL,
    change: 'closed',
    from: '127.0.0.1:50000',
    to: 'orders.internal:3306',
    bytesUp: 12,
    bytesDown: 3_400,
  }),
  line(5, {
    event: 'open',
    tunnel: OTHER,
    person: 'bob@example.com',
    name: 'bob@example.com',
    target: 'web-1',
    to: '[::1]:80',
  }),
  line(6, { event: 'renewal', tunnel: TUNNEL, session: 'alice-01', how: 'resumed', downtimeMs: 400 }),
  line(7, {
    event: 'denial',
    person: 'mallory',
    asked: 'prod',
    code: 'CT_DENIED',
    message: 'no',
    hostUser: 'm',
    host: 'h',
  }),
  line(8, { event: 'command', tunnel: TUNNEL, program: 'mysqldump', with: 'exec' }),
  line(9, { event: 'client', tunnel: OTHER, change: 'connected', from: 'stdio', to: '[::1]:80' }),
  line(10, {
    event: 'end',
    tunnel: TUNNEL,
    why: 'ttl',
    durationMs: 60_000,
    connections: 1,
    bytesUp: 12,
    bytesDown: 3_400,
  }),
];

const select = (filter: LineFilter = {}): readonly ToldLine[] => new LineSelection(filter).take(LINES);
const events = (filter: LineFilter) => select(filter).map(({ line: { event } }) => `${event.event} ${event.seq}`);

suite('which lines are wanted', () => {
  test('a person or a target is one of whole tunnels', () => {
    const alices = ['open 1', 'session 2', 'client 3', 'client 4', 'renewal 6', 'command 8', 'end 10'];
    assert.deepEqual(events({ persons: ['alice'] }), alices);
    assert.deepEqual(events({ persons: ['ALICE', 'nobody'] }), alices);
    assert.deepEqual(events({ persons: ['arn:aws:iam::111122223333:user/alice'] }), alices);
    assert.deepEqual(events({ persons: ['bob'] }), ['open 5', 'client 9']);
    assert.deepEqual(events({ persons: ['ali'] }), []);
    assert.deepEqual(events({ targets: ['i-0abc'] }), alices);
    assert.deepEqual(events({ targets: ['prod'] }), [
      'open 1',
      'session 2',
      'client 3',
      'client 4',
      'renewal 6',
      'denial 7',
      'command 8',
      'end 10',
    ]);
    assert.deepEqual(events({ tunnels: ['1111'] }), ['open 5', 'client 9']);
    assert.deepEqual(events({ events: ['denial', 'end'] }), ['denial 7', 'end 10']);
  });

  test('a time cuts lines, and what is known of their tunnels stays', () => {
    assert.deepEqual(events({ since: TIME + 6_000, persons: ['alice'] }), ['renewal 6', 'command 8', 'end 10']);
    assert.deepEqual(events({ until: TIME + 1_000 }), ['open 1']);
  });
});

suite('as people read it', () => {
  test('the tunnel stands in every line of it', () => {
    const shown = LINES.map((each) => auditLine(each).slice(9));
    assert.deepEqual(shown, [
      '3f2a91bc open     alice -> orders-prod via i-0abc (orders.internal:3306, cloudtun-prod): =HYPERLINK("http://bad") | a=b, "c" d',
      '3f2a91bc session  started alice-01',
      '3f2a91bc client   connected 127.0.0.1:50000 -> orders.internal:3306',
      '3f2a91bc client   closed 127.0.0.1:50000, 3 kB down, 12 B up',
      '11111111 open     bob@example.com -> web-1 ([::1]:80)',
      '3f2a91bc renewal  resumed alice-01, 0.4s without it',
      '         denial   mallory -> prod: no (CT_DENIED)',
      '3f2a91bc command  mysqldump with exec',
      '11111111 client   connected stdio -> [::1]:80',
      '3f2a91bc end      ttl after 1m, 1 connection, 3 kB down, 12 B up',
    ]);
  });

  test('an event of another cloudtun is shown with all it has', () => {
    assert.equal(
      auditLine({ time: TIME, event: { event: 'novel', a: 1, b: 'x\u001b[31m' } }).slice(9),
      '         novel    a=1 b=x�[31m',
    );
  });
});

suite('as other programs read it', () => {
  test('CSV: a row for each, what a spreadsheet would work out is text, and quotes are doubled', () => {
    const rows = select().map(csvLine);
    const width = csvHeader().split(',').length;
    assert.match(rows[0]!, /,"'=HYPERLINK\(""http:\/\/bad""\) \| a=b, ""c""\nd",/);
    assert.ok(rows.every((row) => row.endsWith('\r\n')));
    assert.equal(
      rows[1]!.split(',').length,
      width + 1,
      'the reason of the tunnel, with its commas, stands in each row',
    );
    assert.match(rows[3]!, /,arn:aws:iam::111122223333:user\/alice,alice,/);
    for (const start of ['=', '+', '-', '@', '\t', '\r']) {
      const row = csvLine({ line: line(1, { event: 'open', reason: `${start}1+1` }), tunnel: {} });
      assert.match(row, new RegExp(`"'\\${start}1\\+1"`), JSON.stringify(start));
    }
    const numbers = csvLine({ line: line(1, { event: 'end', bytesUp: 7 }), tunnel: {} });
    assert.match(numbers, /,7,,S,1,h\r\n$/);
  });

  test('CEF: header and extension are escaped, each in its own way', () => {
    const [open, , , closed] = select().map((each) => cefLine(each, '1.2.3'));
    assert.match(open!, /^CEF:0\|cloudtun\|cloudtun\|1\.2\.3\|open\|Tunnel opened\|2\|rt=1795338001000 /);
    assert.match(open!, / reason=\\=HYPERLINK\("http:\/\/bad"\) \| a\\=b, "c"\\nd /);
    assert.match(
      closed!,
      / act=closed .* suser=alice .* src=127\.0\.0\.1 spt=50000 dhost=orders-prod dpt=3306 in=3400 out=12 /,
    );
    const odd = cefLine({ line: line(1, { event: 'a|b\\c\nd', message: 'x\\y=z' }), tunnel: {} }, '1');
    assert.match(odd, /^CEF:0\|cloudtun\|cloudtun\|1\|a\\\|b\\\\c d\|a\\\|b\\\\c d\|2\|.* msg=x\\\\y\\=z\n$/);
    assert.equal(
      select()
        .map((each) => cefLine(each, '1'))
        .join('')
        .split('\n').length,
      LINES.length + 1,
    );
  });

  test('OCSF: every event has what the class Tunnel Activity requires', () => {
    const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(TUNNEL_ACTIVITY);
    for (const each of select()) {
      const event = JSON.parse(ocsfLine(each, '1.2.3'));
      assert.ok(validate(event), JSON.stringify(validate.errors));
      assert.equal(event.type_uid, event.class_uid * 100 + event.activity_id);
    }
    const parsed = select().map((each) => JSON.parse(ocsfLine(each, '1.2.3')));
    assert.deepEqual(
      parsed.map(({ activity_id }) => activity_id),
      [1, 99, 99, 99, 1, 3, 99, 99, 99, 2],
    );
    assert.deepEqual(
      parsed.map(({ status_id }) => status_id),
      [1, 1, 1, 1, 1, 1, 2, 1, 1, 1],
    );
    const end = parsed.at(-1);
    assert.deepEqual(end.traffic, { bytes_in: 3_400, bytes_out: 12, bytes: 3_412 });
    assert.deepEqual([end.user.name, end.dst_endpoint.name, end.duration], ['alice', 'orders-prod', 60_000]);
    const { session: _session, ...without } = end;
    assert.equal(validate(without), false, 'the schema asks for something');
  });
});

/**
 * What version 1.3.0 of the framework requires of a Tunnel Activity: the required attributes of the base event and of the objects used,
 * with the values of their enumerations, and one of those that the class wants at least one of.
 */
const TUNNEL_ACTIVITY = {
  type: 'object',
  required: ['activity_id', 'category_uid', 'class_uid', 'metadata', 'severity_id', 'time', 'type_uid', 'session'],
  properties: {
    activity_id: { enum: [0, 1, 2, 3, 99] },
    activity_name: { type: 'string' },
    category_uid: { const: 4 },
    category_name: { const: 'Network Activity' },
    class_uid: { const: 4014 },
    class_name: { const: 'Tunnel Activity' },
    type_uid: { enum: [401_400, 401_401, 401_402, 401_403, 401_499] },
    severity_id: { enum: [0, 1, 2, 3, 4, 5, 6, 99] },
    status_id: { enum: [0, 1, 2, 99] },
    status_code: { type: 'string' },
    status_detail: { type: 'string' },
    message: { type: 'string' },
    time: { type: 'integer' },
    duration: { type: 'integer' },
    metadata: {
      type: 'object',
      required: ['product', 'version'],
      properties: {
        version: { const: '1.3.0' },
        product: {
          type: 'object',
          required: ['vendor_name'],
          properties: { name: { type: 'string' }, vendor_name: { type: 'string' }, version: { type: 'string' } },
          additionalProperties: false,
        },
        event_code: { type: 'string' },
        uid: { type: 'string' },
        sequence: { type: 'integer' },
      },
      additionalProperties: false,
    },
    user: {
      type: 'object',
      required: ['name'],
      properties: {
        type_id: { enum: [0, 1, 2, 3, 4, 99] },
        name: { type: 'string' },
        uid: { type: 'string' },
        account: {
          type: 'object',
          required: ['uid'],
          properties: { uid: { type: 'string' } },
          additionalProperties: false,
        },
      },
      additionalProperties: false,
    },
    device: {
      type: 'object',
      required: ['type_id', 'hostname'],
      properties: { type_id: { type: 'integer' }, hostname: { type: 'string' } },
      additionalProperties: false,
    },
    session: {
      type: 'object',
      required: ['uid'],
      properties: { uid: { type: 'string' }, uid_alt: { type: 'string' } },
      additionalProperties: false,
    },
    src_endpoint: { $ref: '#/$defs/endpoint' },
    dst_endpoint: { $ref: '#/$defs/endpoint' },
    tunnel_type: { type: 'string' },
    tunnel_type_id: { enum: [0, 1, 2, 3, 99] },
    protocol_name: { type: 'string' },
    traffic: {
      type: 'object',
      properties: { bytes: { type: 'integer' }, bytes_in: { type: 'integer' }, bytes_out: { type: 'integer' } },
      additionalProperties: false,
    },
    unmapped: { type: 'object' },
  },
  additionalProperties: false,
  $defs: {
    endpoint: {
      type: 'object',
      minProperties: 1,
      properties: {
        name: { type: 'string' },
        hostname: { type: 'string' },
        instance_uid: { type: 'string' },
        ip: { type: 'string' },
        port: { type: 'integer', minimum: 0, maximum: 65_535 },
      },
      additionalProperties: false,
    },
  },
} as const;
