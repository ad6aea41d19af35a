import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PacedStart, StartPace } from '../../../../src/broker/core/start-pace.ts';

const start = (tunnel: object, account = 'acme'): PacedStart => ({ tunnel, account });

/** What may go now, in order. */
function goes(pace: StartPace, now: number): PacedStart[] {
  const gone: PacedStart[] = [];
  for (let step = pace.next(now); step?.do === 'start'; step = pace.next(now)) gone.push(step.start);
  return gone;
}

const waits = (pace: StartPace, now: number) => {
  const step = pace.next(now);
  return step?.do === 'wait' ? step.until : step;
};

test('ten at once, the eleventh when one of them is over', () => {
  const pace = new StartPace();
  const all = Array.from({ length: 12 }, () => start({}));
  for (const each of all) pace.ask(each);
  assert.deepEqual(goes(pace, 0), all.slice(0, 10));
  assert.equal(pace.next(0), undefined);
  pace.done(all[3]!);
  assert.deepEqual(goes(pace, 0), [all[10]]);
});

test('tunnels take turns: one that wants many does not keep the others waiting, and keeps its own order', () => {
  const pace = new StartPace();
  const greedy = {};
  const many = Array.from({ length: 20 }, () => start(greedy));
  for (const each of many) pace.ask(each);
  const others = [start({}), start({})];
  for (const each of others) pace.ask(each);
  assert.deepEqual(goes(pace, 0), [many[0], ...others, ...many.slice(1, 8)]);
});

test('after a complaint one after another, and nothing before the service wants to hear of us again', () => {
  const pace = new StartPace();
  const all = Array.from({ length: 6 }, () => start({}));
  pace.ask(all[0]!);
  goes(pace, 0);
  pace.throttled(all[0]!, 0, undefined, 0);
  for (const each of all) pace.ask(each);
  assert.equal(waits(pace, 0), 500);
  assert.deepEqual(goes(pace, 500), [all[0]]);
  pace.throttled(all[0]!, 510, 30_000, 0);
  assert.equal(waits(pace, 510), 30_510);
  assert.deepEqual(goes(pace, 30_510), [all[1]]);
  assert.equal(waits(pace, 30_510), 31_510, 'a second between them now');
  pace.done(all[1]!);
  assert.deepEqual(goes(pace, 31_510), [all[2]]);
  assert.equal(waits(pace, 31_510), 32_010, 'half a second after a success');
});

test('ten complaints of one burst are one', () => {
  const pace = new StartPace();
  const all = Array.from({ length: 11 }, () => start({}));
  for (const each of all) pace.ask(each);
  const burst = goes(pace, 0);
  for (const each of burst) pace.throttled(each, 5, undefined, 0);
  assert.equal(waits(pace, 5), 505);
});

test('successes make it forget; what was started before the complaint does not count as one', () => {
  const pace = new StartPace();
  const [slow, early, ...later] = Array.from({ length: 12 }, () => start({}));
  pace.ask(slow!);
  pace.ask(early!);
  goes(pace, 0);
  pace.throttled(slow!, 0, undefined, 0);
  pace.done(early!);
  for (const each of later) pace.ask(each);
  let now = 500;
  for (const [index, gap] of [250, 125, 62.5].entries()) {
    const [each] = goes(pace, now);
    assert.equal(each, later[index]);
    pace.done(each!);
    // The next one was due by the pace of before.
    now += gap * 2;
  }
  const [last] = goes(pace, now);
  pace.done(last!);
  assert.equal(goes(pace, now).length, 6, 'all that are left, at once');
});

test('another account goes on', () => {
  const pace = new StartPace();
  const ours = start({}, 'acme');
  const theirs = start({}, 'other');
  pace.ask(ours);
  goes(pace, 0);
  pace.throttled(ours, 0, undefined, 0.5);
  pace.ask(ours, true);
  pace.ask(theirs);
  assert.deepEqual(goes(pace, 1), [theirs]);
});

test('who leaves does not count, and who was refused for the pace keeps its place', () => {
  const pace = new StartPace();
  const tunnel = {};
  const [first, second, third] = [start(tunnel), start(tunnel), start(tunnel)];
  pace.ask(first);
  goes(pace, 0);
  pace.ask(second);
  pace.ask(third);
  pace.withdraw(second);
  pace.throttled(first, 0, undefined, 0);
  pace.ask(first, true);
  assert.deepEqual(goes(pace, 500), [first]);
  assert.deepEqual(goes(pace, 1_000), [third]);
  pace.withdraw(third);
  assert.equal(pace.next(5_000), undefined);
});
