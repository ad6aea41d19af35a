import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import {
  ackFrame,
  dataFrame,
  longCloseFrame,
  readFrame,
  reconnectedFrame,
  sidFrame,
} from '../../../../../src/lab/gcp/relay/core/relay-frame.ts';
import { readRequest } from '../../../../../src/lab/gcp/relay/core/relay-request.ts';

interface Form {
  readonly hex?: string;
  readonly fill?: string;
  readonly mod?: number;
  readonly length?: number;
  readonly concat?: readonly Form[];
}

interface Summary extends Form {
  readonly headHex?: string;
  readonly sha256?: string;
}

interface Vectors {
  readonly encode: readonly {
    readonly name: string;
    readonly frame: 'ACK' | 'DATA';
    readonly value?: string;
    readonly payload?: Form;
    readonly result?: Summary;
  }[];
  readonly decode: readonly {
    readonly name: string;
    readonly message: Form;
    readonly tag?: number;
    readonly sid?: Form;
    readonly ack?: string;
    readonly payload?: Summary;
    readonly trailing?: number;
    readonly unknownTag?: true;
    readonly error?: string;
  }[];
  readonly urls: readonly {
    readonly name: string;
    readonly kind: 'connect' | 'reconnect';
    readonly target: Readonly<Record<string, string | number>>;
    readonly sid?: Form;
    readonly ack?: string;
    readonly url: string;
  }[];
}

const path = join(import.meta.dirname, '../../../../vectors/iap-vectors.json');
const vectors = JSON.parse(readFileSync(path, 'utf8')) as Vectors;

function bytesOf(form: Form): Buffer {
  if (form.concat !== undefined) return Buffer.concat(form.concat.map(bytesOf));
  if (form.hex !== undefined) return Buffer.from(form.hex, 'hex');
  const { length = 0, mod, fill } = form;
  return mod === undefined
    ? Buffer.alloc(length, fill, 'hex')
    : Buffer.from(Uint8Array.from({ length }, (_, at) => at % mod));
}

function assertBytes(actual: Buffer, expected: Summary): void {
  if (expected.sha256 === undefined) assert.deepEqual(actual, bytesOf(expected));
  else assert.equal(createHash('sha256').update(actual).digest('hex'), expected.sha256);
}

suite('frames of the relay, against what gcloud writes and reads', () => {
  for (const vector of vectors.encode) {
    if (vector.result === undefined) continue;
    const { result } = vector;
    test(`encode ${vector.name}`, () => {
      if (vector.frame === 'DATA') return assertBytes(dataFrame(bytesOf(vector.payload ?? {})), result);
      const total = BigInt(vector.value ?? '0');
      // A session cannot reach 2^53 bytes; what is beyond is read only.
      if (total <= Number.MAX_SAFE_INTEGER) assertBytes(ackFrame(Number(total)), result);
      assert.deepEqual(readFrame(bytesOf(result)), { kind: 'ack', total, trailing: 0 });
    });
  }

  for (const vector of vectors.decode) {
    test(`decode ${vector.name}`, () => {
      const frame = readFrame(bytesOf(vector.message));
      if (vector.error !== undefined) assert.equal(frame.kind, 'malformed');
      // gcloud does not know LONG_CLOSE; the service sends it.
      else if (vector.unknownTag && vector.tag === 10) assert.match(frame.kind, /^(long-close|malformed)$/);
      else if (vector.unknownTag) assert.deepEqual(frame, { kind: 'unknown', tag: vector.tag });
      else if (frame.kind === 'sid') assert.deepEqual(frame.sid, bytesOf(vector.sid ?? {}));
      else if (frame.kind === 'data') assertBytes(frame.payload, vector.payload ?? {});
      else if (frame.kind === 'ack' || frame.kind === 'reconnected') assert.equal(`${frame.total}`, vector.ack);
      else assert.fail(frame.kind);
      if ('trailing' in frame && vector.unknownTag === undefined) assert.equal(frame.trailing, vector.trailing);
    });
  }

  test('what only the service writes is read as written', () => {
    assert.deepEqual(sidFrame('sid'), Buffer.from('000100000003736964', 'hex'));
    assert.deepEqual(reconnectedFrame(42), Buffer.from('0002000000000000002a', 'hex'));
    const long = readFrame(longCloseFrame(4054, 'prohibited'));
    assert.deepEqual(long, { kind: 'long-close', code: 4054, reason: 'prohibited', trailing: 0 });
  });
});

suite('upgrade requests, as gcloud writes them', () => {
  for (const { name, kind, target, sid, ack, url } of vectors.urls) {
    test(name, () => {
      const { search } = new URL(url);
      const read = readRequest(`/v4/${kind}${search}`);
      assert.deepEqual(read?.violations, []);
      const request = read?.request;
      assert.ok(typeof request === 'object', String(request));
      if (request.kind === 'reconnect') {
        assert.equal(request.ack, BigInt(ack ?? ''));
        // URLSearchParams reads UTF-8; a sid of ours is ASCII.
        if (!name.includes('high byte')) assert.equal(request.sid, bytesOf(sid ?? {}).toString('latin1'));
        return;
      }
      const { dest_group: group, interface: networkInterface, port, ...rest } = target;
      const more = networkInterface === undefined ? { kind: 'host', group } : { kind: 'instance', networkInterface };
      const { url_override: _, ...place } = rest;
      const shown = Object.fromEntries(Object.entries(place).map(([key, value]) => [key, String(value)]));
      assert.deepEqual(request.target, { ...shown, ...more, port });
    });
  }

  test('what is missing or wrong is told; what is too much is a violation', () => {
    const read = (query: string) => readRequest(`/v4/${query}`);
    assert.equal(read('connect?project=p&port=22')?.request, 'the query has no zone, instance');
    assert.equal(read('connect?project=p&port=70000&zone=z&instance=i')?.request, '"70000" is no port');
    assert.equal(read('connect?project=p&port=1&region=r&host=h')?.request, 'the query has no network');
    assert.equal(read('reconnect?ack=1&zone=z')?.request, 'the query has no sid');
    assert.equal(read('reconnect?sid=s&ack=-1&zone=z')?.request, '"-1" is no byte count');
    assert.deepEqual(read('reconnect?sid=s&ack=1&zone=z&project=p&port=22')?.violations, [
      'the query has project',
      'the query has port',
    ]);
    assert.deepEqual(read('connect?project=p&port=1&zone=z&instance=i&zone=y')?.violations, [
      'the query has zone twice',
      'the query has no interface',
    ]);
    assert.equal(read('other?x=y'), undefined);
  });
});
