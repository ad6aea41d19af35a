import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MuxServer } from '../../src/lab/aws/core/mux-server.ts';
import { Observations } from '../../src/lab/aws/core/observations.ts';
import { RoundTripEstimate } from '../../src/lab/aws/core/resend-timer.ts';
import { reportVectors, ssmVectors, unhex } from '../support/ssm-vectors.ts';

test('the lab agent estimates round trips as the official one', (t) => {
  const series = ssmVectors('retransmission');
  for (const [number, { steps }] of series.entries()) {
    const estimate = new RoundTripEstimate();
    for (const [index, step] of steps.entries()) {
      estimate.add(step.sampleMs);
      const at = `series ${number}, step ${index}`;
      assert.ok(Math.abs(estimate.roundTrip * 1e6 - step.rttNs) < 0.01, `${at}: SRTT`);
      assert.ok(Math.abs(estimate.variance * 1e6 - step.rttVarNs) < 0.01, `${at}: VAR`);
      assert.ok(Math.abs(estimate.timeout * 1e6 - step.rtoNs) <= 1, `${at}: RTO`);
    }
  }
  reportVectors(t, 'retransmission', series.length, series.length);
});

/** What a stream of the lab's mux server saw, in the words of the vectors: `stream 3 read "ok"`. */
function received(hex: string, step: number): string[] {
  const reads = new Map<number, string>();
  const seen: string[] = [];
  const mux: MuxServer = new MuxServer(
    {
      opened: (id) => {
        reads.set(id, '');
        mux.dialled();
      },
      data: (id, bytes) => {
        reads.set(id, (reads.get(id) ?? '') + bytes.toString());
        mux.consumed(bytes.length);
      },
      finished: (id) => mux.close(id),
      unblocked: () => {},
      died: () => seen.push('invalid protocol'),
    },
    new Observations(() => {}),
    false,
    0,
  );
  const bytes = unhex(hex);
  for (let at = 0; at < bytes.length; at += step) mux.take(bytes.subarray(at, at + step));
  for (const [id, text] of reads) seen.unshift(`stream ${id} read "${text}"`);
  return seen;
}

test('the lab mux server receives what the official library receives', () => {
  const { receiver } = ssmVectors('smux');
  for (const { name, hex, result } of receiver) {
    const official = /stream (\d+) read "([^"]*)"/.exec(result)?.[0];
    const isInvalid = result.includes('invalid protocol');
    const expected = [...(official === undefined ? [] : [official]), ...(isInvalid ? ['invalid protocol'] : [])];
    assert.deepEqual(received(hex, Number.POSITIVE_INFINITY), expected, name);
    assert.deepEqual(received(hex, 1), expected, `${name}, byte by byte`);
  }
});
