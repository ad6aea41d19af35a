import { yamlLines } from '../../config/yaml-lines.ts';
import type { GrantVerb } from '../../domain/grant.ts';
import { isoDay } from '../../domain/iso-day.ts';
import type { Millis } from '../../domain/millis.ts';
import { type Access, endOfAccess } from '../../onboarding/access.ts';
import type { AccessAnswer } from '../../onboarding/access-answer.ts';
import type { AccessChange } from '../../onboarding/access-difference.ts';
import type { TeamPerson } from '../../onboarding/people.ts';
import type { Judgement, StatementWord } from '../../providers/policy-author.ts';
import { principalText } from './principal-text.ts';
import { tableLines } from './table.ts';

/** `until 2027-03-31`, `without an end` */
const untilText = (end: Millis | undefined) => (end === undefined ? 'without an end' : `until ${isoDay(end)}`);

/** `connect prod`; what no verb gives by its own words. */
const nameOf = ({ attempt }: Access) =>
  attempt.verb === undefined ? attempt.id : `${attempt.verb} ${attempt.subject}`;

/** What a verb is in a sentence. */
function phraseOf(verb: GrantVerb, subject: string): string {
  const phrases: Record<GrantVerb, string> = {
    connect: `connect to ${subject}`,
    ssh: `log in to ${subject} (ssh)`,
    socks: `reach everything through ${subject} (socks)`,
    run: `run commands on ${subject}`,
    logs: `read the log ${subject}`,
  };
  return phrases[verb];
}

const teamsText = (access: Access) => [...new Set(access.listed.map(({ team }) => team))].join(', ');

/** How many of what is denied are named. */
const SHOWN_NAMES = 8;

/** One person: what is open to them, what is not. */
export function personLines(person: TeamPerson, all: readonly Access[]): readonly string[] {
  const open = all.filter(({ decision }) => decision === 'allowed');
  const shut = all.filter(({ decision }) => decision !== 'allowed');
  const offered = [...new Set(shut.filter(({ attempt }) => attempt.verb !== undefined).map(nameOf))];
  const around = shut.filter(({ attempt }) => attempt.verb === undefined).length;
  const rows = open.map((access) => [
    '  yes',
    nameOf(access),
    access.listed.length > 0 ? untilText(endOfAccess(access)) : 'not listed',
    access.listed.length > 0 ? `team ${teamsText(access)}` : '',
    access.place,
  ]);
  return [
    whoText(person),
    ...(rows.length === 0 ? ['  may do nothing'] : aligned(rows)),
    ...(offered.length === 0 ? [] : [`  no   ${someOf(offered)}`]),
    ...(around === 0
      ? []
      : [`  no   ${around} ways around that (other documents, hosts, ports, shells, edits); each of them: --json`]),
  ];
}

function whoText({ name, isStandIn, teams, principals }: TeamPerson): string {
  const as = principals.map((one) => `${principalText(one)} in ${one.cloud}`).join(', ');
  if (teams.length === 0) return `${name}: in no team`;
  return `${name}${isStandIn ? ' (whoever that is)' : ''}: team ${teams.join(', ')}${as === '' ? ', and nobody in any cloud' : `; ${as}`}`;
}

const someOf = (names: readonly string[]) =>
  names.length <= SHOWN_NAMES
    ? names.join(', ')
    : `${names.slice(0, SHOWN_NAMES).join(', ')} and ${names.length - SHOWN_NAMES} more`;

function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
}

/** One person, one thing: yes and by what, or no, and what would make it yes. */
export function answerLines(answer: AccessAnswer, isVerbose: boolean): readonly string[] {
  const { person, subject, access, verbs, advice, impossible } = answer;
  if (impossible !== undefined) return [`no   nobody can be given that: ${impossible}`];
  const tried = access.filter(({ attempt }) => attempt.verb !== undefined);
  const open = tried.filter(({ decision }) => decision === 'allowed');
  const around = access.filter(({ attempt, decision }) => attempt.verb === undefined && decision === 'allowed');
  const shutVerbs = verbs.filter((verb) => !open.some(({ attempt }) => attempt.verb === verb));
  const said = open.flatMap((one) => [
    `yes  ${person.name} may ${phraseOf(one.attempt.verb!, subject)} ${one.listed.length > 0 ? untilText(endOfAccess(one)) : '(not listed)'}`,
    ...grantLines(one),
    ...wayLines(one, 'allowed', isVerbose),
  ]);
  const [first] = shutVerbs;
  const refused = open.length > 0 || first === undefined ? [] : refusalLines(answer, first, isVerbose);
  return [
    ...said,
    ...refused,
    ...around.map((one) => `yes  ${person.name} can ${one.attempt.text}`),
    ...(open.length > 0 && shutVerbs.length > 0
      ? [`no   ${shutVerbs.map((verb) => `${verb} ${subject}`).join(', ')}`]
      : []),
    ...(open.length > 0 ? [] : adviceLines(advice)),
  ];
}

function grantLines(access: Access): readonly string[] {
  const seen = new Set<string>();
  return access.listed.flatMap(({ team, verb, subject }) => {
    if (seen.has(team)) return [];
    seen.add(team);
    return [`       by       team ${team}: may: { ${verb}: [${subject.name}] }`];
  });
}

function refusalLines(
  { person, subject, access }: AccessAnswer,
  verb: GrantVerb,
  isVerbose: boolean,
): readonly string[] {
  const one = access.find(({ attempt }) => attempt.verb === verb);
  return [
    `no   ${person.name} may not ${phraseOf(verb, subject)}`,
    `       because  ${refusalText(person, one)}`,
    ...(one === undefined ? [] : wayLines(one, one.decision, isVerbose)),
  ];
}

function refusalText({ name, teams }: TeamPerson, access: Access | undefined): string {
  const [ended] = access?.ended ?? [];
  if (ended !== undefined) return `team ${ended.team} gave it until ${isoDay(ended.until!)}`;
  if (teams.length === 0) return `no team of the catalogue has ${name}`;
  const isListed = access !== undefined && access.listed.length > 0;
  return isListed
    ? 'it is listed, and the permissions do not give it'
    : `none of the teams of ${name} gives it: ${teams.join(', ')}`;
}

/** The calls of the way that decided, and the statements that had a say in each: those that count, or what came near. */
function wayLines({ ways, place }: Access, decision: Judgement['decision'], isVerbose: boolean): readonly string[] {
  const way = ways.find(({ judgement }) => judgement.decision === decision) ?? ways[0];
  if (way === undefined) return [];
  const { calls } = way.judgement;
  // A call that is allowed says little about why another one is not.
  const shown = decision === 'allowed' || isVerbose ? calls : calls.filter((call) => call.decision !== 'allowed');
  const width = Math.max(...shown.map(({ action }) => action.length));
  return [
    `       as       ${principalText(way.principal)} in ${place}`,
    ...shown.flatMap((call) => {
      const counting = call.words.filter(({ counts }) => counts);
      const head = `       ${call.decision.padEnd(8)} ${call.action}`;
      if (call.decision === 'allowed' && !isVerbose)
        return [`       ${call.decision.padEnd(8)} ${call.action.padEnd(width)}  ${statementsText(counting)}`];
      const words = isVerbose ? call.words : counting.length > 0 ? counting : call.words.slice(0, 1);
      return [
        `${head} on ${call.resource}`,
        ...(words.length === 0 ? ['                no statement is near it'] : words.map(wordLine)),
      ];
    }),
  ];
}

/** `cloudtun-readers: OwnDataChannel, OwnSessions` */
function statementsText(words: readonly StatementWord[]): string {
  const policies = Map.groupBy(words, ({ policy }) => policy);
  return [...policies]
    .map(([policy, those]) => `${policy}: ${those.map(({ statement }) => statement).join(', ')}`)
    .join('; ');
}

const wordLine = ({ policy, statement, effect, counts, reason }: StatementWord) =>
  `                ${counts ? `${effect} by` : 'not by'} ${policy}: ${statement}, ${reason}`;

function adviceLines(advice: AccessAnswer['advice']): readonly string[] {
  return advice.flatMap(({ text, path, value, beside }, index) => [
    '',
    `${index === 0 ? '' : 'or: '}${text}${index === 0 ? ', in cloudtun.yaml:' : ':'}`,
    ...yamlLines(path, value).map((line) => `  ${line}`),
    ...(beside === undefined ? [] : [beside]),
  ]);
}

/** One thing: who reaches it, by what, until when. */
export function reverseLines(subject: string, all: readonly Access[]): readonly string[] {
  const open = all.filter(({ decision }) => decision === 'allowed');
  if (open.length === 0) return [`nobody may do anything with ${subject}`];
  return tableLines(
    ['WHO', 'MAY', 'UNTIL', 'TEAM', 'AS'],
    open.map((access) => [
      access.person.name,
      access.attempt.verb ?? access.attempt.id,
      access.listed.length === 0 ? 'NOT LISTED' : untilText(endOfAccess(access)).replace(/^until /, ''),
      teamsText(access) || '-',
      access.ways
        .filter(({ judgement }) => judgement.decision === 'allowed')
        .map(({ principal }) => principalText(principal))
        .join(', '),
    ]),
  );
}

/** Everybody, a row for each team that gives them something. */
export function everybodyLines(people: readonly TeamPerson[], all: readonly Access[]): readonly string[] {
  const rows = people.flatMap((person) => {
    const open = all.filter((access) => access.person === person && access.decision === 'allowed');
    const groups = Map.groupBy(open, (access) =>
      access.listed.length === 0 ? 'NOT LISTED' : `${teamsText(access)}\n${untilText(endOfAccess(access))}`,
    );
    if (groups.size === 0) return [[person.name, 'nothing', '-', person.teams.join(', ')]];
    return [...groups].map(([key, those]) => {
      const [team, until = '-'] = key.split('\n');
      return [person.name, someOf([...new Set(those.map(nameOf))]), until.replace(/^until /, ''), team!];
    });
  });
  return tableLines(['WHO', 'MAY', 'UNTIL', 'TEAM'], rows);
}

/** Everybody against everything that has a name; `!` is not listed, `?` cannot be told. */
export function matrixLines(people: readonly TeamPerson[], all: readonly Access[]): readonly string[] {
  const tried = all.filter(({ attempt }) => attempt.verb !== undefined);
  const subjects = [...new Set(tried.map(({ attempt }) => attempt.subject))];
  const rows = people.map((person) => [
    person.name,
    ...subjects.map((subject) => {
      const cells = tried
        .filter((access) => access.person === person && access.attempt.subject === subject)
        .flatMap(cellText);
      return cells.length === 0 ? '-' : [...new Set(cells)].join(' ');
    }),
  ]);
  return tableLines(['WHO', ...subjects], rows);
}

function cellText({ attempt, decision, listed }: Access): readonly string[] {
  const verb = attempt.verb!;
  if (decision === 'allowed') return [listed.length > 0 ? verb : `${verb}!`];
  if (listed.length > 0) return [`(${verb})`];
  return decision === 'unknown' ? [`${verb}?`] : [];
}

const SIGNS = { gained: '+', lost: '-', changed: '~' } as const;

/** What another catalogue means for people: `+` gained, `-` lost, `~` not the same any more. */
export function changeLines(changes: readonly AccessChange[], label: string): readonly string[] {
  if (changes.length === 0) return [`nobody's access is another one than in ${label}`];
  const count = (kind: AccessChange['kind']) => changes.filter((change) => change.kind === kind).length;
  const [people, ids] = (['person', 'id'] as const).map((key) =>
    Math.max(...changes.map((change) => change[key].length)),
  );
  return [
    ...changes.flatMap(({ kind, person, id, text, details, until }) => [
      `${SIGNS[kind]} ${person.padEnd(people!)}  ${id.padEnd(ids!)}  ${kind === 'changed' ? '' : `${text}${kind === 'gained' ? `, ${untilText(until)}` : ''}`}`.trimEnd(),
      ...details.map(({ what, before, after }) => `    ${what}: ${before} -> ${after}`),
    ]),
    `${count('gained')} gained, ${count('lost')} lost, ${count('changed')} changed since ${label}`,
  ];
}
