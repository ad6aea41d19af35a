import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import { ApiFaults, parseApiFaults } from '../../../src/lab/api-faults.ts';
import { QueryParameters } from '../../../src/lab/aws/api/query-parameters.ts';
import { xmlDocument } from '../../../src/lab/aws/api/xml.ts';
import { fillDocument, type LabDocument } from '../../../src/lab/aws/documents.ts';
import { KeyRing, mayCall } from '../../../src/lab/aws/principals.ts';
import { matchesPattern } from '../../../src/lab/core/wildcard.ts';
import { isOwnHost } from '../../../src/lab/own-host.ts';
import { manualWorld } from '../../support/manual-world.ts';

describe('QueryParameters', () => {
  test('lists are in the order of their numbers, in either spelling', () => {
    const fields = Array.from({ length: 12 }, (_, index) => `InstanceId.${12 - index}=i-${12 - index}`);
    const parameters = new QueryParameters(fields.join('&'));
    assert.deepEqual(
      parameters.list('InstanceId'),
      Array.from({ length: 12 }, (_, index) => `i-${index + 1}`),
    );
    assert.deepEqual(new QueryParameters('A.member.1=x&A.member.2=y').list('A.member'), ['x', 'y']);
    assert.deepEqual(new QueryParameters('A.0=x&A.-1=y&A.b=z&AB.1=w').list('A'), []);
  });

  test('filters of EC2 and of RDS', () => {
    const expected = [{ name: 'tag:Name', values: ['a b', 'c&d'] }];
    const ec2 = 'Filter.1.Name=tag%3AName&Filter.1.Value.1=a+b&Filter.1.Value.2=c%26d';
    const rds =
      'Filters.Filter.1.Name=tag%3AName&Filters.Filter.1.Values.Value.1=a+b&Filters.Filter.1.Values.Value.2=c%26d';
    assert.deepEqual(new QueryParameters(ec2).filters(), expected);
    assert.deepEqual(new QueryParameters(rds).filters(), expected);
  });

  test('numbers are whole and in bounds', () => {
    const read = (text: string) => new QueryParameters(`MaxResults=${text}`).integer('MaxResults', 5, 1_000);
    assert.equal(read('5'), 5);
    assert.equal(read('1000'), 1_000);
    for (const text of ['4', '1001', '5.5', '-6', '1e2', 'x', ''])
      assert.throws(() => read(text), /InvalidParameterValue|invalid/i);
  });
});

test('XML escapes text, repeats lists and leaves out what is undefined', () => {
  assert.equal(
    xmlDocument('Root', 'urn:x', { a: [1, true, { b: '<&>"\'' }], none: undefined, empty: {}, list: [] }),
    '<?xml version="1.0" encoding="UTF-8"?>\n<Root xmlns="urn:x"><a>1</a><a>true</a><a><b>&lt;&amp;&gt;&quot;&apos;</b></a><empty></empty></Root>',
  );
});

describe('fillDocument', () => {
  const document: LabDocument = {
    name: 'x',
    description: '',
    owner: 'self',
    sessionType: 'Port',
    parameters: { host: { description: '' }, port: { description: '', default: '80', allowedPattern: '^[0-9]+$' } },
    properties: { host: '{{ host }}', both: '{{host}}:{{  port  }}', other: '{{ nobody }}', fixed: 'y' },
  };

  test('replaces every parameter, once', () => {
    assert.deepEqual(fillDocument(document, { host: ['{{ port }}'] }), {
      host: '{{ port }}',
      both: '{{ port }}:80',
      other: '{{ nobody }}',
      fixed: 'y',
    });
  });

  test('does not take names of Object for parameters', () => {
    assert.throws(() => fillDocument(document, { host: ['h'], constructor: ['x'] }), /"constructor" is not defined/);
  });
});

describe('principals', () => {
  test('patterns match whole texts', () => {
    assert.ok(matchesPattern('ssm:*', 'ssm:StartSession'));
    assert.ok(matchesPattern('a?c*', 'abc'));
    assert.ok(!matchesPattern('ssm:Start', 'ssm:StartSession'));
    assert.ok(!matchesPattern('a.c', 'abc'));
    assert.ok(matchesPattern('[x](y)', '[x](y)'));
  });

  test('a denial holds for its action and resource', () => {
    const denied = [{ action: 'ssm:StartSession', resource: '*:document/cloudtun-*' }];
    const somebody = { name: 'a', arn: 'a', userId: 'a', account: '1', denied };
    assert.ok(mayCall(somebody, 'ssm:StartSession', 'arn:aws:ec2:r:1:instance/i-1'));
    assert.ok(!mayCall(somebody, 'ssm:StartSession', 'arn:aws:ssm:r:1:document/cloudtun-prod'));
    assert.ok(mayCall(somebody, 'ssm:GetDocument', 'arn:aws:ssm:r:1:document/cloudtun-prod'));
  });

  test('the ring forgets the oldest temporary keys, never those of users', () => {
    const { world } = manualWorld();
    const ring = new KeyRing(world);
    const somebody = { name: 'a', arn: 'a', userId: 'a', account: '1', denied: [] };
    const user = ring.issueLongTerm(somebody);
    const first = ring.issueTemporary(somebody, 1_000);
    assert.match(user.accessKeyId, /^AKIA[A-Z2-7]{16}$/);
    assert.match(first.accessKeyId, /^ASIA[A-Z2-7]{16}$/);
    for (let count = 0; count < 5_000; count += 1) ring.issueTemporary(somebody, 1_000);
    assert.equal(ring.find(first.accessKeyId), undefined);
    assert.ok(ring.find(user.accessKeyId));
  });
});

describe('ApiFaults', () => {
  test('strike in order, delays and at most one failure, and are used up', () => {
    const faults = new ApiFaults();
    faults.set([
      { action: 'ssm:*', kind: 'latency', delay: 5 },
      { action: 'ssm:StartSession', kind: 'throttle', times: 1 },
      { action: '*', kind: 'unavailable', times: 1 },
      { action: '*', kind: 'latency', delay: 7, times: 1 },
    ]);
    const kinds = (action: string) => faults.strike(action).map((one) => one.kind);
    assert.deepEqual(kinds('ssm:StartSession'), ['latency', 'throttle', 'latency']);
    assert.deepEqual(kinds('ssm:StartSession'), ['latency', 'unavailable']);
    assert.deepEqual(kinds('ssm:StartSession'), ['latency']);
    assert.deepEqual(kinds('ec2:DescribeInstances'), []);
    faults.clear();
    assert.deepEqual(faults.list(), []);
  });

  test('are read as they are written', () => {
    const faults = [{ action: 'ssm:*', kind: 'latency', delay: 5, times: 2 }] as const;
    assert.deepEqual(parseApiFaults(JSON.parse(JSON.stringify(faults))), faults);
  });
});

test('only the lab’s own loopback names are its host', () => {
  for (const host of ['127.0.0.1:80', 'localhost:80', 'LOCALHOST:80', '[::1]:80'])
    assert.ok(isOwnHost({ host }, 80), host);
  for (const host of ['127.0.0.1:81', '127.0.0.1', 'evil.example.com:80', 'localhost.evil.example.com:80', '']) {
    assert.ok(!isOwnHost({ host }, 80), host);
  }
  assert.ok(!isOwnHost({}, 80));
});
