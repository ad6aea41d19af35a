import { isoDay } from '../../domain/iso-day.ts';
import { jsonDifference } from '../../onboarding/json-difference.ts';
import type { PlanPart, TeamPlan } from '../../onboarding/team-plan.ts';
import type { JsonValue, PolicyChange, PolicyNotice } from '../../providers/policy-author.ts';
import { printable } from './printable.ts';
import { plural } from './tunnel-lines.ts';

/** What `team plan --json` and `team apply --json` say of what is to be done. */
export interface TeamPlanJson {
  /** Changes when the plan, or what it was worked out from, does; for `team apply --expect`. */
  readonly fingerprint: string;
  readonly toAdd: number;
  readonly toChange: number;
  readonly toRemove: number;
  readonly parts: readonly {
    readonly cloud: string;
    readonly place: string;
    readonly teams: readonly string[];
    readonly changes: readonly {
      readonly op: PolicyChange['op'];
      readonly id: string;
      readonly kind: string;
      readonly name: string;
      readonly summary: string;
      readonly team?: string;
      readonly subject?: string;
      readonly remark?: string;
      readonly before?: JsonValue;
      readonly after?: JsonValue;
    }[];
    readonly unchanged: readonly { readonly kind: string; readonly name: string }[];
    readonly conflicts: readonly { readonly kind: string; readonly name: string; readonly summary: string }[];
    readonly notices: readonly PolicyNotice[];
  }[];
  readonly problems: TeamPlan['problems'];
}

const SIGNS = { add: '+', change: '~', remove: '-' } as const;

/** Longest value that is shown in a difference; the rest is in `--json`. */
const LONGEST_VALUE = 100;

export function countOf(plan: TeamPlan, op: PolicyChange['op']): number {
  return plan.parts.flatMap(({ changes }) => changes).filter((change) => change.op === op).length;
}

export function teamPlanJson(plan: TeamPlan): TeamPlanJson {
  return {
    fingerprint: plan.fingerprint,
    toAdd: countOf(plan, 'add'),
    toChange: countOf(plan, 'change'),
    toRemove: countOf(plan, 'remove'),
    parts: plan.parts.map((part) => ({
      cloud: part.cloud,
      place: part.draft.place,
      teams: teamsOf(part),
      changes: part.changes.map((change) => {
        const about = 'wanted' in change ? change.wanted : change.current;
        const { id, kind, name, summary } = about;
        return {
          op: change.op,
          id,
          kind,
          name,
          summary,
          ...('team' in about && about.team !== undefined && { team: about.team }),
          ...('subject' in about && about.subject !== undefined && { subject: about.subject }),
          ...('current' in change && change.current.remark !== undefined && { remark: change.current.remark }),
          ...('current' in change && { before: change.current.content }),
          ...('wanted' in change && { after: change.wanted.content }),
        };
      }),
      unchanged: part.unchanged.map(({ kind, name }) => ({ kind, name })),
      conflicts: part.conflicts.map(({ current: { kind, name, summary } }) => ({ kind, name, summary })),
      notices: part.draft.notices,
    })),
    problems: plan.problems,
  };
}

/** The plan as people read it; the last line counts. */
export function teamPlanLines(plan: TeamPlan): readonly string[] {
  const lines = plan.parts.flatMap(partLines);
  for (const { team, text } of plan.problems) lines.push(`problem  ${team}: ${text}`);
  const [add, change, remove] = (['add', 'change', 'remove'] as const).map((op) => countOf(plan, op));
  const conflicts = plan.parts.flatMap((part) => part.conflicts).length;
  const held = conflicts === 0 ? '' : `, ${plural(conflicts, 'conflict')}`;
  return [...lines, `${add} to add, ${change} to change, ${remove} to remove${held}.`].map(printable);
}

function partLines(part: PlanPart): string[] {
  const { draft, changes, unchanged, conflicts } = part;
  const isEmpty = part.grants.length === 0 && changes.length === 0 && conflicts.length === 0;
  if (isEmpty) return [];
  const rows = [
    ...changes.map((change) => {
      const { kind, name, summary } = 'wanted' in change ? change.wanted : change.current;
      return { sign: SIGNS[change.op] as string, kind, name, text: summary, below: belowOf(change) };
    }),
    ...conflicts.map(({ current: { kind, name, summary } }) => ({
      sign: '!',
      kind,
      name,
      text: summary,
      below: ['not made for this catalogue: left alone'],
    })),
  ];
  const widest = (key: 'kind' | 'name', most: number) =>
    Math.min(most, Math.max(0, ...rows.map((row) => row[key].length)));
  const [kinds, names] = [widest('kind', 20), widest('name', 48)];
  return [
    `${headingOf(part)} (${draft.place})`,
    ...rows.flatMap(({ sign, kind, name, text, below }) => [
      `  ${sign} ${kind.padEnd(kinds)}  ${name.padEnd(names)}  ${text}`.trimEnd(),
      ...below.map((line) => `      ${line}`),
    ]),
    ...(unchanged.length > 0 ? [`  = ${plural(unchanged.length, 'thing')} as they should be`] : []),
    ...endLines(part),
    ...peopleLines(part),
    ...draft.notices.map(
      ({ level, team, text }) => `  ${wordFor(level)}  ${team === undefined ? '' : `${team}: `}${text}`,
    ),
    '',
  ];
}

const wordFor = (level: PolicyNotice['level']) => (level === 'loud' ? 'WARNING' : level);

function headingOf({ grants }: PlanPart): string {
  const teams = Map.groupBy(grants, ({ team }) => team);
  if (teams.size === 0) return 'nobody any more';
  return [...teams]
    .map(([team, those]) => {
      const names = new Set(
        those.map(({ verb, subject }) => (verb === 'connect' ? subject.name : `${verb} ${subject.name}`)),
      );
      return `${team} -> ${[...names].join(', ')}`;
    })
    .join('; ');
}

function endLines({ grants }: PlanPart): string[] {
  const ends = new Map(grants.map(({ team, until }) => [team, until]));
  return [...ends].map(([team, until]) =>
    until === undefined ? `  until  ${team} without an end` : `  until  ${team} ${isoDay(until)}`,
  );
}

/** Teams that had nothing here before, and principals that lose what they had. */
function peopleLines({ changes, unchanged, grants }: PlanPart): string[] {
  const had = new Set(
    [...unchanged, ...changes.flatMap((change) => (change.op === 'change' ? [change.wanted] : []))].flatMap(
      ({ team }) => team ?? [],
    ),
  );
  const come = [...new Set(grants.map(({ team }) => team))].filter((team) => !had.has(team));
  const isGained = changes.some(({ op }) => op === 'add');
  const gained = isGained ? come.flatMap((team) => grants.filter((grant) => grant.team === team)) : [];
  const names = [...new Set(gained.map(({ principal }) => `${principal.kind} ${principal.name}`))];
  return names.length > 0 ? [`  gained by  ${names.join(', ')}`] : [];
}

function belowOf(change: PolicyChange): readonly string[] {
  const remark = 'current' in change && change.current.remark !== undefined ? [change.current.remark] : [];
  if (change.op !== 'change') return remark;
  const differences = jsonDifference(change.current.content, change.wanted.content);
  return [
    ...remark,
    ...differences.map(({ path, before, after }) => {
      if (before === undefined) return `${path}: + ${valueText(after)}`;
      if (after === undefined) return `${path}: - ${valueText(before)}`;
      return `${path}: ${valueText(before)} -> ${valueText(after)}`;
    }),
  ];
}

function valueText(value: JsonValue | undefined): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length <= LONGEST_VALUE ? text : `${text.slice(0, LONGEST_VALUE)}...`;
}

function teamsOf({ grants }: PlanPart): readonly string[] {
  return [...new Set(grants.map(({ team }) => team))];
}
