import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatHours, formatIn, type OpeningHours, opensAfter, openUntil } from '../../../src/domain/opening-hours.ts';

const office: OpeningHours = {
  days: ['mon', 'tue', 'wed', 'thu', 'fri'],
  from: '08:00',
  to: '18:00',
  zone: 'Europe/Berlin',
};
const at = (text: string) => Date.parse(text);
const until = (hours: OpeningHours, text: string) => {
  const end = openUntil(hours, at(text));
  return end === undefined || end === Number.POSITIVE_INFINITY ? end : new Date(end).toISOString();
};
const next = (hours: OpeningHours, text: string) => new Date(opensAfter(hours, at(text))!).toISOString();

test('office hours of a place, in winter and in summer', () => {
  assert.equal(until(office, '2026-11-23T07:00:00Z'), '2026-11-23T17:00:00.000Z');
  assert.equal(until(office, '2026-11-23T06:59:59Z'), undefined);
  assert.equal(until(office, '2026-11-23T16:59:59.999Z'), '2026-11-23T17:00:00.000Z');
  assert.equal(until(office, '2026-11-23T17:00:00Z'), undefined);
  assert.equal(until(office, '2026-07-20T06:00:00Z'), '2026-07-20T16:00:00.000Z');
  assert.equal(until(office, '2026-11-22T10:00:00Z'), undefined, 'a Sunday');
  assert.equal(next(office, '2026-11-20T17:00:00Z'), '2026-11-23T07:00:00.000Z');
});

test('hours over midnight belong to the day on which they begin', () => {
  const night: OpeningHours = { days: ['fri'], from: '22:00', to: '06:00', zone: 'UTC' };
  assert.equal(until(night, '2026-11-20T23:00:00Z'), '2026-11-21T06:00:00.000Z');
  assert.equal(until(night, '2026-11-21T05:00:00Z'), '2026-11-21T06:00:00.000Z');
  assert.equal(until(night, '2026-11-20T05:00:00Z'), undefined);
  assert.equal(until(night, '2026-11-21T23:00:00Z'), undefined);
});

test('the night on which clocks are set back is longer, the one on which they are set forward shorter', () => {
  const night: OpeningHours = { from: '22:00', to: '06:00', zone: 'Europe/Berlin' };
  assert.equal(until(night, '2026-10-24T20:00:00Z'), '2026-10-25T05:00:00.000Z');
  assert.equal(until(night, '2026-10-25T05:00:00Z'), undefined);
  assert.equal(until(night, '2026-03-28T21:00:00Z'), '2026-03-29T04:00:00.000Z');
  assert.equal(until(night, '2026-03-29T04:00:00Z'), undefined);
});

test('a time that is shown twice is the first, one that is leapt over comes after the leap', () => {
  const hours: OpeningHours = { from: '00:00', to: '02:30', zone: 'Europe/Berlin' };
  assert.equal(until(hours, '2026-10-25T00:00:00Z'), '2026-10-25T00:30:00.000Z');
  assert.equal(until(hours, '2026-03-29T00:30:00Z'), '2026-03-29T01:30:00.000Z');
});

test('hours that touch are one, and may have no end', () => {
  const week: OpeningHours = { days: ['mon', 'tue'], from: '00:00', to: '24:00', zone: 'UTC' };
  assert.equal(until(week, '2026-11-23T12:00:00Z'), '2026-11-25T00:00:00.000Z');
  assert.equal(until({ from: '00:00', to: '24:00', zone: 'UTC' }, '2026-11-23T12:00:00Z'), Number.POSITIVE_INFINITY);
  assert.equal(until({ from: '09:00', to: '09:00', zone: 'UTC' }, '2026-11-23T08:00:00Z'), Number.POSITIVE_INFINITY);
});

test('zones with odd offsets, on the far side of the date line', () => {
  const hours: OpeningHours = { days: ['mon'], from: '08:00', to: '18:00', zone: 'Pacific/Chatham' };
  assert.equal(until(hours, '2026-11-22T20:00:00Z'), '2026-11-23T04:15:00.000Z');
  assert.equal(until({ ...hours, zone: 'Asia/Kathmandu' }, '2026-11-23T02:15:00Z'), '2026-11-23T12:15:00.000Z');
  assert.equal(until({ ...hours, zone: 'Pacific/Honolulu' }, '2026-11-24T03:59:00Z'), '2026-11-24T04:00:00.000Z');
});

test('how they are told', () => {
  assert.equal(formatHours(office), 'mon, tue, wed, thu, fri 08:00-18:00 Europe/Berlin');
  assert.equal(formatHours({ from: '08:00', to: '18:00', zone: 'UTC' }), 'every day 08:00-18:00 UTC');
  assert.equal(formatIn(office, at('2026-11-21T11:13:00Z')), 'sat 12:13');
});
