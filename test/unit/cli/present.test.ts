import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { errorJson } from '../../../src/cli/present/error-json.ts';
import { errorBackground, errorLines } from '../../../src/cli/present/error-text.ts';
import { closedJson, errorEventJson, eventJson } from '../../../src/cli/present/event-json.ts';
import { eventSchema } from '../../../src/cli/present/event-schema.ts';
import { explanationLines } from '../../../src/cli/present/explain-report.ts';
import { nextStep } from '../../../src/cli/present/next-step.ts';
import { tableLines } from '../../../src/cli/present/table.ts';
import { closedLine, drainingText, readyLine, remarkOn } from '../../../src/cli/present/tunnel-lines.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';
import type { DatabaseTarget, MachineTarget, Route } from '../../../src/domain/target.ts';
import type { CloseReason, ForwardEvent, ForwardReport } from '../../../src/forward/forward-types.ts';

const NOW = new Date(2026, 10, 22, 10, 2).getTime();
const PLACE = { label: 'aws lab/ap-northeast-1', region: 'ap-northeast-1', profile: 'lab' };

const bastion: MachineTarget = { kind: 'machine', provider: 'aws', id: 'i-0abc', name: 'bastion-a', state: 'running' };
const prod: DatabaseTarget = {
  kind: 'database',
  provider: 'aws',
  id: 'prod',
  flavour: 'instance',
  engine: 'mysql',
  engineLabel: 'MySQL 8.0',
  endpoint: { host: 'prod.lab.internal', port: 3306 },
  available: true,
  status: 'available',
  subnetIds: [],
  securityGroupIds: [],
};
const toProd: Route = {
  provider: 'aws',
  target: prod,
  node: bastion,
  to: prod.endpoint,
  reasons: ['in the VPC of the database, vpc-1', 'sg-db admits it on 3306'],
  rejected: [{ node: { ...bastion, id: 'i-1', name: 'web-1' }, reason: 'no rule of sg-db admits it' }],
};
const toMachine: Route = { ...toProd, target: bastion, to: { port: 80 }, rejected: [] };

function ready(route: Route, more: Partial<Extract<ForwardEvent, { type: 'ready' }>> = {}) {
  return {
    type: 'ready',
    rule: 0,
    local: [
      { host: '127.0.0.1', port: 13306 },
      { host: '::1', port: 13306 },
    ],
    route,
    readiness: { kind: 'ready', greeting: 'MySQL 8.0.36' },
    expiresAt: NOW + 8 * 3_600_000,
    ...more,
  } as const;
}

suite('the ready line', () => {
  test('of a database, as in the specification', () => {
    assert.equal(
      readyLine(ready(toProd), PLACE, NOW),
      'ready 127.0.0.1:13306 -> prod (MySQL 8.0, aws lab/ap-northeast-1, via bastion-a, expires 18:02)',
    );
  });

  test('of a port of a machine, silent and without a limit', () => {
    const event = ready(toMachine, { readiness: { kind: 'open' }, expiresAt: undefined });
    assert.equal(
      readyLine(event, PLACE, NOW),
      'open 127.0.0.1:13306 -> bastion-a:80 (aws lab/ap-northeast-1, no time limit)',
    );
  });

  test('of a host behind a machine, tomorrow', () => {
    const route = { ...toMachine, to: { host: 'admin.internal', port: 80 } };
    assert.equal(
      readyLine(ready(route, { readiness: { kind: 'open' }, expiresAt: NOW + 30 * 3_600_000 }), PLACE, NOW),
      'open 127.0.0.1:13306 -> admin.internal:80 (aws lab/ap-northeast-1, via bastion-a, expires 2026-11-23 16:02)',
    );
  });

  test('cannot carry control characters of a name into the terminal', () => {
    const route = { ...toProd, node: { ...bastion, name: 'a\u001b]0;x\u0007\nb\u202e' } };
    const line = readyLine(ready(route), PLACE, NOW);
    assert.match(line, /via a�\]0;x� b�, /);
  });
});

suite('the closing line', () => {
  const report = (reason: CloseReason): ForwardReport => ({
    reason,
    duration: 42 * 60_000,
    connections: 3,
    bytesDown: 18_400_000,
    bytesUp: 900_000,
  });

  test('as in the specification', () => {
    assert.equal(closedLine(report('interrupted')), 'closed after 42m, 3 connections, 18.4 MB down, 0.9 MB up');
  });

  test('says why, when the user did not do it', () => {
    assert.match(closedLine(report('ttl')), /0\.9 MB up, time limit reached$/);
    assert.match(closedLine(report('lost')), /, tunnel lost$/);
  });

  test('draining tells how many, and how to cut', () => {
    assert.equal(drainingText(1, 'interrupted'), 'draining 1 connection (again to cut) ...');
    assert.equal(drainingText(2, 'ttl'), 'draining 2 connections ...');
    assert.equal(drainingText(0, 'interrupted'), undefined);
  });
});

suite('the next step', () => {
  const local = { host: '127.0.0.1', port: 13306 };
  test('is the usual client of the engine', () => {
    assert.equal(nextStep(toProd, local, 'app_reader'), 'mysql -h 127.0.0.1 -P 13306 -u app_reader -p');
    const postgres = { ...toProd, target: { ...prod, engine: 'postgres' as const } };
    assert.equal(nextStep(postgres, local, undefined), 'psql -h 127.0.0.1 -p 13306 -U USER DATABASE');
    assert.equal(nextStep({ ...toMachine, to: { port: 22 } }, local, 'ubuntu'), 'ssh -p 13306 ubuntu@127.0.0.1');
    assert.equal(nextStep(toMachine, local, undefined), undefined);
  });
});

suite('errors', () => {
  const denied = new CloudtunError('CT_DENIED', 'alice may not start a session on bastion-a', {
    details: [
      ['identity', 'arn:aws:sts::111122223333:assumed-role/readers/alice'],
      ['missing', 'ssm:StartSession on document/cloudtun-prod'],
    ],
    hint: ['ask for it'],
    cause: new Error('wss://stream.example/v1/data-channel/x?token=secret refused', {
      cause: Object.assign(new Error('reset'), { code: 'ECONNRESET' }),
    }),
  });

  test('read as in the specification, details aligned', () => {
    assert.deepEqual(errorLines(denied), [
      'error CT_DENIED: alice may not start a session on bastion-a',
      '  identity   arn:aws:sts::111122223333:assumed-role/readers/alice',
      '  missing    ssm:StartSession on document/cloudtun-prod',
      '  ask for it',
    ]);
  });

  test('show their causes only when asked, and never a stream URL', () => {
    assert.deepEqual(errorBackground(denied), [
      '  caused by Error: wss://stream.example/… refused',
      '  caused by Error ECONNRESET: reset',
    ]);
    assert.doesNotMatch(JSON.stringify(errorJson(denied)), /secret/);
  });

  test('have a stack only when they are ours', () => {
    const defect = new CloudtunError('CT_INTERNAL', 'oops', { cause: new TypeError('oops') });
    assert.match(errorBackground(defect).join('\n'), /present\.test\.ts/);
    assert.doesNotMatch(errorBackground(denied).join('\n'), /present\.test\.ts/);
  });

  test('survive a cycle of causes', () => {
    const first = new Error('first');
    first.cause = new Error('second', { cause: first });
    assert.equal(errorBackground(new CloudtunError('CT_NETWORK', 'x', { cause: first })).length, 8);
  });
});

suite('events as JSON', () => {
  const sessionId = 'alice-0abc';
  const error = new CloudtunError('CT_REMOTE_REFUSED', 'nobody listens', {
    hint: 'start it',
    details: [['port', '80']],
  });
  const events: readonly ForwardEvent[] = [
    ready(toProd),
    ready(toMachine, { expiresAt: undefined, readiness: { kind: 'open' } }),
    {
      type: 'client',
      change: 'connected',
      rule: 0,
      connection: 1,
      from: '127.0.0.1:5',
      clients: 1,
      bytesUp: 0,
      bytesDown: 0,
    },
    {
      type: 'client',
      change: 'closed',
      rule: 0,
      connection: 1,
      from: '[::1]:5',
      clients: 0,
      bytesUp: 5,
      bytesDown: 9,
      error,
    },
    { type: 'expiring', left: 300_000, because: 'ttl' },
    { type: 'draining', clients: 2, because: 'idle' },
    { type: 'tunnel', event: { type: 'phase', phase: 'StartSession', duration: 12.5 } },
    { type: 'tunnel', event: { type: 'session-started', sessionId } },
    { type: 'tunnel', event: { type: 'session-started', sessionId, further: { because: 'load', count: 3 } } },
    { type: 'tunnel', event: { type: 'hint', message: 'there is more' } },
    { type: 'tunnel', event: { type: 'session-ended', sessionId, reason: 'closed by us' } },
    { type: 'tunnel', event: { type: 'session-stalled', sessionId, heldByteCount: 4_194_304 } },
    { type: 'tunnel', event: { type: 'reconnecting', sessionId, reason: '1000 Bye', attempt: 1 } },
    { type: 'tunnel', event: { type: 'renewed', sessionId, how: 'resumed', downtime: 310 } },
    { type: 'tunnel', event: { type: 'stream-reset', sessionId, error } },
    { type: 'tunnel', event: { type: 'warning', message: 'look' } },
  ];

  for (const event of events) {
    const name = event.type === 'tunnel' ? event.event.type : event.type;
    test(`${name} fits the published schema whole`, () => {
      const json: unknown = JSON.parse(JSON.stringify(eventJson(event, () => PLACE, NOW)));
      assert.deepEqual(eventSchema.parse(json), json);
    });
  }

  test('so do the closing and the failing one', () => {
    const closed = closedJson({ reason: 'lost', error, duration: 1, connections: 2, bytesUp: 3, bytesDown: 4 }, NOW);
    for (const json of [closed, errorEventJson(error, NOW)]) {
      const plain: unknown = JSON.parse(JSON.stringify(json));
      assert.deepEqual(eventSchema.parse(plain), plain);
    }
  });

  test('every event but ready and draining has words for people', () => {
    for (const event of events) {
      const isSaidElsewhere = event.type === 'ready' || event.type === 'draining';
      assert.equal(remarkOn(event) === undefined, isSaidElsewhere, event.type);
    }
  });
});

suite('tables and reports', () => {
  test('columns are two spaces apart, wide characters counted twice', () => {
    assert.deepEqual(
      tableLines(
        ['NAME', 'X'],
        [
          ['踏み台', '1'],
          ['a', '2'],
        ],
      ),
      ['NAME    X', '踏み台  1', 'a       2'],
    );
  });

  test('--explain says which way, why, and what has to be allowed', () => {
    const explanation = {
      route: toProd,
      access: {
        document: 'AWS-StartPortForwardingSessionToRemoteHost',
        actions: [
          { action: 'ssm:StartSession', resource: 'arn:aws:ec2:ap-northeast-1:111122223333:instance/i-0abc' },
          { action: 'ec2:DescribeInstances', resource: '*' },
        ],
      },
    };
    assert.deepEqual(explanationLines(explanation, ['127.0.0.1:13306', '[::1]:13306'], PLACE), [
      'target     prod (MySQL 8.0) at prod.lab.internal:3306, aws lab/ap-northeast-1',
      'local      127.0.0.1:13306 and [::1]:13306',
      'route      via bastion-a (i-0abc)',
      'because    in the VPC of the database, vpc-1',
      '           sg-db admits it on 3306',
      'not taken  web-1 (i-1): no rule of sg-db admits it',
      'document   AWS-StartPortForwardingSessionToRemoteHost',
      'needs      ssm:StartSession       arn:aws:ec2:ap-northeast-1:111122223333:instance/i-0abc',
      '           ec2:DescribeInstances  *',
    ]);
  });
});
