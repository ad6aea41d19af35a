import type { ClockShift } from '../../audit/core/clock-shift.ts';
import type { JournalUse } from '../../audit/core/journal-uses.ts';
import type { Difference } from '../../audit/core/reconcile.ts';
import { formatDuration } from '../../domain/duration.ts';
import type { Millis } from '../../domain/millis.ts';
import { isoTime } from '../../runtime/iso-time.ts';
import { printable } from './printable.ts';
import type { Reconciled } from './reconcile-json.ts';
import { tableLines } from './table.ts';
import { plural } from './tunnel-lines.ts';

/** What `audit reconcile` says of one source, line by line. */
export function reconciledLines(reconciled: Reconciled): readonly string[] {
  const { source, reader, persons, since, isSilent, result } = reconciled;
  const { differences, agreed, early, beginning, outside, refused, ofOthers, duplicates, clock } = result;
  const who = persons === undefined ? 'everybody' : persons.map(shortName).join(', ');
  const things = reader.grain === 'session' ? 'session' : 'tunnel';
  const rows = differences.filter((each) => each.kind !== 'clock');
  const aside = [
    ...(refused > 0 ? [`${plural(refused, 'request')} refused by the cloud`] : []),
    ...(ofOthers > 0 ? [`${ofOthers} of other people left out (--everybody)`] : []),
    ...(outside > 0 ? [`${plural(outside, 'line')} of the journal from outside of this time`] : []),
    ...(duplicates > 0 ? [`${plural(duplicates, 'record')} twice`] : []),
  ];
  const isNothing = agreed + differences.length + early.length + beginning === 0;
  const agreement = `${plural(agreed, things)} of ${who} agree${agreed === 1 ? 's' : ''}`;
  return [
    `${reader.label}, ${source}, since ${timeText(since)}: ${isNothing ? `nothing of ${who}, here or there` : agreement}` +
      (differences.length === 0 ? '' : `, ${plural(differences.length, 'difference')}`),
    ...(clock === undefined ? [] : [`  ${clockText(clock)}`]),
    ...aside.map((each) => `  ${each}`),
    ...(early.length > 0
      ? [
          `  too early to tell: ${plural(early.length, things)} of the last ${formatDuration(reader.settle)}, whose records may still come`,
        ]
      : []),
    ...(beginning > 0
      ? [
          `  too early to tell: ${plural(beginning, things === 'session' ? 'session' : 'connection')} began a moment ago`,
        ]
      : []),
    ...differenceLines(rows),
    ...adviceOn(differences, reader, isSilent).map((each) => `-> ${each}`),
  ].map(printable);
}

const HEADING = ['TIME (UTC)', 'WHAT', 'WHO', 'MACHINE', 'SESSION'];

type Row = Exclude<Difference, { kind: 'clock' }>;

/** A row for each, and below it what else is known. */
function differenceLines(differences: readonly Row[]): readonly string[] {
  if (differences.length === 0) return [];
  const [heading = '', ...rows] = tableLines(HEADING, differences.map(row));
  return ['', heading, ...rows.flatMap((line, index) => [line, `    ${detailOf(differences[index]!)}`]), ''];
}

function row(difference: Row): readonly string[] {
  if (difference.kind === 'not-in-cloud') {
    const { at, person = '?', node, session, tunnel } = difference.use;
    return [timeText(at), 'not in the cloud', shortName(person), node, session ?? tunnel];
  }
  const { at, id, use } = difference.record;
  const what = difference.kind === 'differs' ? 'told differently' : 'not in the journal';
  return [timeText(at), what, shortName(use.person), use.node, use.session ?? id];
}

function detailOf(difference: Row): string {
  switch (difference.kind) {
    case 'not-in-journal': {
      const { document, address, program, isOurs, port, reason } = difference.record.use;
      return listed([
        port === undefined ? undefined : `port ${port}`,
        document,
        address === undefined ? undefined : `from ${address}`,
        isOurs ? 'cloudtun' : program,
        reason,
      ]);
    }
    case 'not-in-cloud':
      return listed([lineOf(difference.use), difference.use.to, difference.use.document]);
    case 'differs': {
      const { use, record, what } = difference;
      const told = what.map((key) => `${key} ${shown(use[key], key)} here, ${shown(record.use[key], key)} there`);
      return listed([lineOf(use), ...told]);
    }
  }
}

const listed = (parts: readonly (string | undefined)[]) => parts.filter((part) => part !== undefined).join(', ');
const shown = (value: string | undefined, key: string) => (key === 'person' ? shortName(value ?? '?') : (value ?? '?'));
const lineOf = ({ file, line }: JournalUse) => `${file}:${line}`;

/** One for each kind of difference: what it may mean, and what to do. */
function adviceOn(
  differences: readonly Difference[],
  reader: Reconciled['reader'],
  isSilent: boolean,
): readonly string[] {
  const unknown = differences.flatMap((each) => (each.kind === 'not-in-journal' ? [each] : []));
  const count = (some: readonly unknown[]) =>
    plural(some.length, reader.grain === 'session' ? 'session' : 'connection');
  const killed = unknown.filter(({ tunnel }) => tunnel !== undefined);
  const ours = unknown.filter(({ tunnel, record }) => tunnel === undefined && record.use.isOurs === true);
  const foreign = unknown.filter(({ tunnel, record }) => tunnel === undefined && record.use.isOurs === false);
  const unclear = unknown.filter(({ tunnel, record }) => tunnel === undefined && record.use.isOurs === undefined);
  const missing = differences.flatMap((each) => (each.kind === 'not-in-cloud' ? [each] : []));
  const differing = differences.filter(({ kind }) => kind === 'differs');
  const hasShift = differences.some(({ kind }) => kind === 'clock');
  return [
    ...(killed.length > 0
      ? [
          `${count(killed)}: the journal has the tunnel, whose process ended before it could record the session. Nothing to do`,
        ]
      : []),
    ...(foreign.length > 0
      ? [
          `${count(foreign)} by another program than cloudtun: ask who it was; permissions for pinned documents alone keep others out (cloudtun team apply)`,
        ]
      : []),
    ...(ours.length > 0
      ? [
          `${count(ours)} by cloudtun with another journal: another machine or user (compare the address), another CLOUDTUN_JOURNAL; or lines were taken out of this one: cloudtun audit verify`,
        ]
      : []),
    ...(unclear.length > 0
      ? [
          `${count(unclear)} that the journal lacks: another program, another machine (compare the address), or lines were taken out: cloudtun audit verify`,
        ]
      : []),
    ...(missing.length > 0
      ? [
          isSilent
            ? reader.whenSilent
            : `${plural(missing.length, 'line')} of the journal without a record in the cloud: is it the right account, region or project? Else somebody added them: cloudtun audit verify`,
        ]
      : []),
    ...(differing.length > 0
      ? [
          `${count(differing)} told differently: the cloud's record is the one that nobody here can edit; cloudtun audit verify`,
        ]
      : []),
    ...(hasShift
      ? [
          'the clock of this machine was wrong when the journal was written: set it by NTP, and read its times with that in mind',
        ]
      : []),
  ];
}

function clockText({ ahead, pairs }: ClockShift): string {
  const seconds = Math.abs(ahead);
  const told = seconds < 1_500 ? 'the same' : `${formatDuration(seconds)} ${ahead > 0 ? 'ahead' : 'behind'}`;
  return `clock: ${told} (by ${plural(pairs, 'pair')} of times)`;
}

/** The last part of an ARN. */
const shortName = (person: string) => person.split('/').at(-1)!;
const timeText = (time: Millis) =>
  isoTime(time)
    .replace('T', ' ')
    .replace(/\.\d+Z$/, '');
