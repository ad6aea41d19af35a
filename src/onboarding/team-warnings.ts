import type { Catalogue, CatalogueTarget } from '../config/catalogue.ts';
import type { TeamEntry } from '../config/schema.ts';
import { isoDay } from '../domain/iso-day.ts';
import type { Millis } from '../domain/millis.ts';
import type { PolicyNotice } from '../providers/policy-author.ts';
import { type Finding, namesText } from './findings.ts';
import { endOf, type GrantProblem, principalsOf } from './grants.ts';
import { isUser } from './people.ts';
import { nameProblem } from './principal-names.ts';
import type { DraftedPart } from './team-plan.ts';

/** What is right and rarely wanted, and what the catalogue lists that nothing can be made of. Pure. */
export function warningsOf(
  catalogue: Catalogue,
  drafted: {
    readonly parts: readonly Pick<DraftedPart, 'draft' | 'grants'>[];
    readonly problems: readonly GrantProblem[];
  },
  at: Millis,
): readonly Finding[] {
  const notices = drafted.parts.flatMap(({ draft }) => draft.notices);
  const isNoticed = (code: string, team: string) => notices.some((one) => one.code === code && one.team === team);
  const teams = [...catalogue.teams];
  return [
    ...drafted.problems.map((problem) => problemFinding(problem, catalogue)),
    ...notices.map(noticeFinding),
    ...teams.flatMap(([team, entry]) => [
      ...(isNoticed('no-expiry', team) ? [] : endFindings(team, entry, at)),
      ...(isNoticed('open-host-document', team) ? [] : socksFindings(team, entry)),
      ...memberFindings(team, entry),
    ]),
    ...sharedPrincipals(catalogue),
    ...targetsOfNobody(catalogue),
  ];
}

const isGivenNothing = ({ may = {} }: TeamEntry) => Object.values(may).every((names) => (names ?? []).length === 0);

function problemFinding({ team, subject, text }: GrantProblem, { teams }: Catalogue): Finding {
  const entry = teams.get(team);
  const isEmpty = entry !== undefined && isGivenNothing(entry);
  return {
    level: isEmpty ? 'warning' : 'finding',
    code: isEmpty ? 'empty-team' : 'gives-nothing',
    team,
    ...(subject !== undefined && { subject }),
    text: `${team}: ${text}`,
  };
}

function noticeFinding({ level, code, team, subject, text }: PolicyNotice): Finding {
  return {
    level: level === 'remark' ? 'remark' : 'warning',
    code,
    ...(team !== undefined && { team }),
    ...(subject !== undefined && { subject }),
    text: `${team === undefined ? '' : `${team}: `}${text}`,
  };
}

function endFindings(team: string, entry: TeamEntry, at: Millis): readonly Finding[] {
  if (isGivenNothing(entry)) return [];
  if (entry.until === undefined)
    return [
      { level: 'warning', code: 'no-expiry', team, text: `${team}: it has no until, so what it is given never ends` },
    ];
  const end = endOf(entry.until);
  if (end > at) return [];
  return [
    { level: 'warning', code: 'ended', team, text: `${team}: it ended on ${isoDay(end)}, and gives nothing any more` },
  ];
}

function socksFindings(team: string, { may = {} }: TeamEntry): readonly Finding[] {
  const names = may.socks ?? [];
  if (names.length === 0) return [];
  const text = `${team}: socks on ${namesText(names)} opens every host and port that the machine reaches`;
  return [{ level: 'warning', code: 'open-host-document', team, text }];
}

/** Members whom a cloud cannot mean, and a user that no member is. */
function memberFindings(team: string, entry: TeamEntry): readonly Finding[] {
  const { members = [] } = entry;
  const principals = principalsOf(entry);
  const finding = (text: string): Finding => ({
    level: 'warning',
    code: 'member-form',
    team,
    text: `${team}: ${text}`,
  });
  const forms = principals.flatMap((principal) => {
    const wrong = nameProblem(principal);
    return wrong === undefined ? [] : [finding(wrong)];
  });
  const clouds = [...new Set(principals.map(({ cloud }) => cloud))];
  const people = members.flatMap((member) =>
    clouds.flatMap((cloud) => {
      const wrong = nameProblem({ cloud, kind: 'member', name: member });
      return wrong === undefined ? [] : [finding(wrong)];
    }),
  );
  const users = principals.filter(({ kind }) => kind === 'user');
  const strangers = users
    .filter((user) => members.length > 0 && !members.some((member) => isUser(member, user)))
    .map(({ cloud, name }) =>
      finding(`the ${cloud} user ${name} is none of its members, and gets what they are given`),
    );
  return [...forms, ...people, ...strangers];
}

/** Two teams that the cloud takes for one: whoever is in either has what both are given (iam.md 4.3, rule 2). */
function sharedPrincipals({ teams }: Catalogue): readonly Finding[] {
  const all = [...teams].flatMap(([team, entry]) => principalsOf(entry).map((principal) => ({ team, principal })));
  const groups = Map.groupBy(all, ({ principal: { cloud, kind, name } }) => `${cloud}: ${kind} ${name}`);
  return [...groups].flatMap(([principal, those]): readonly Finding[] => {
    const names = [...new Set(those.map(({ team }) => team))];
    if (names.length < 2) return [];
    const text = `${names.join(' and ')} are one in ${principal}: whoever is in one of them has what all of them are given`;
    return [{ level: 'warning', code: 'one-principal', text }];
  });
}

/** Targets that are given to nobody, but for machines that are there to go through. */
function targetsOfNobody({ targets, teams, groups, logs }: Catalogue): readonly Finding[] {
  if (teams.size === 0) return [];
  const given = new Set<string>();
  for (const { may = {} } of teams.values()) {
    for (const verb of ['connect', 'ssh', 'socks', 'run'] as const)
      for (const name of may[verb] ?? [])
        for (const one of targets.has(name) ? [name] : (groups.get(name) ?? [])) given.add(one);
    for (const name of may.logs ?? []) given.add(logs.get(name)?.target ?? name);
  }
  const isWay = (target: CatalogueTarget) =>
    target.kind === 'machine' &&
    [...targets.values()].some(({ via = [] }) =>
      via.some(({ text }) => text === target.instance || text.endsWith(`/${target.instance}`)),
    );
  return [...targets.values()]
    .filter((target) => !given.has(target.name) && !isWay(target))
    .map(({ name }) => ({
      level: 'warning',
      code: 'nobody',
      subject: name,
      text: `${name}: no team may do anything with it`,
    }));
}
