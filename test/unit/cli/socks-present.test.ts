import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { eventSchema } from '../../../src/cli/present/event-schema.ts';
import {
  destinationLines,
  servingLine,
  socksClosedJson,
  socksEventJson,
  socksRemarkOn,
  troubleOf,
} from '../../../src/cli/present/socks-events.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';
import type { SocksEvent } from '../../../src/socks/socks-types.ts';
import { BASTION } from '../../support/fake-provider.ts';

const WALL = Date.UTC(2026, 10, 22, 9);
const PLACE = { label: 'aws prod/ap-northeast-1', region: 'ap-northeast-1', profile: 'prod' };
const denied = new CloudtunError('CT_POLICY', 'example.com is not among --only *.internal');
const to = { host: 'db.internal', port: 5432 };

const SERVING = {
  type: 'serving',
  local: [{ host: '127.0.0.1', port: 1080 }],
  target: BASTION,
  pacUrl: 'http://127.0.0.1:1080/proxy.pac',
  expiresAt: undefined,
} as const;
const client = (change: 'connected' | 'closed', error?: CloudtunError) => ({
  type: 'client' as const,
  ...{ change, connection: 3, from: '127.0.0.1:50000', to, clients: 1, bytesUp: 1, bytesDown: 2 },
  ...(error && { error }),
});
const REFUSED = { type: 'refused', from: '127.0.0.1:50000', to, error: denied } as const;

suite('what socks shows', () => {
  test('the line says open, where it leads, and where the PAC file is', () => {
    assert.equal(
      servingLine(SERVING, PLACE, WALL),
      'open 127.0.0.1:1080 -> bastion-a (SOCKS and HTTP, aws prod/ap-northeast-1, no time limit), PAC http://127.0.0.1:1080/proxy.pac',
    );
  });

  test('trouble with a named host is a note, the rest is for who asks', () => {
    const weight = (event: Exclude<SocksEvent, { type: 'serving' }>) => socksRemarkOn(event)?.weight;
    assert.deepEqual(socksRemarkOn(REFUSED), {
      text: 'a connection to db.internal:5432 failed: example.com is not among --only *.internal (CT_POLICY)',
      weight: 'note',
    });
    assert.equal(weight(client('connected')), 'info');
    assert.equal(weight(client('closed', denied)), 'note');
    assert.equal(weight({ type: 'refused', from: REFUSED.from, error: denied }), 'info');
    assert.equal(troubleOf(REFUSED), troubleOf(client('closed', denied)));
    assert.equal(troubleOf(client('closed')), undefined);
  });

  test('destinations: a line each, ten at most', () => {
    const count = (number: number) => ({
      to: `h${number}:80`,
      connections: 1,
      failed: number,
      bytesUp: 0,
      bytesDown: 2_000,
    });
    assert.deepEqual(destinationLines([count(0), count(1)]), [
      'h0:80  1 connection, 2 kB down, 0 B up',
      'h1:80  1 connection, 2 kB down, 0 B up, 1 failed',
    ]);
    const many = destinationLines(Array.from({ length: 12 }, (_, number) => count(number)));
    assert.deepEqual([many.length, many.at(-1)], [11, 'and 2 more destinations']);
  });

  test('every event is in the published schema', () => {
    const events: SocksEvent[] = [SERVING, client('connected'), client('closed', denied), REFUSED];
    const lines = events.map((event) => socksEventJson(event, () => PLACE, WALL));
    const report = { reason: 'ended', duration: 1, connections: 1, bytesUp: 1, bytesDown: 2 } as const;
    const destinations = [{ to: 'db.internal:5432', connections: 1, failed: 0, bytesUp: 1, bytesDown: 2 }];
    const closed = socksClosedJson({ ...report, destinations }, WALL);
    for (const line of [...lines, closed]) assert.deepEqual(eventSchema.parse(line), line);
    assert.deepEqual(
      lines.map(({ event }) => event),
      ['ready', 'client', 'client', 'refused'],
    );
  });
});
