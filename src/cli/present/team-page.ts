import type { Catalogue, CatalogueTarget } from '../../config/catalogue.ts';
import type { TeamEntry } from '../../config/schema.ts';
import { knownPort } from '../../config/stable-port.ts';
import type { GrantVerb } from '../../domain/grant.ts';
import { isoDay } from '../../domain/iso-day.ts';
import { formatHours } from '../../domain/opening-hours.ts';
import type { ProviderId } from '../../domain/target.ts';
import { catalogueGrants, endOf, principalsOf } from '../../onboarding/grants.ts';
import { code, table } from './markdown.ts';
import { principalText } from './principal-text.ts';
import { teamDiagram } from './team-diagram.ts';

/** By which a page is known to be one of ours. */
export const PAGE_MARK = '<!-- made by cloudtun team docs; change cloudtun.yaml, not this page -->';

/** What people call a cloud. */
type CloudLabel = (cloud: ProviderId) => string;

/**
 * Who may reach what, for the team's wiki: a diagram, the teams, what to type, whom to ask, the rules. From the catalogue alone, and the
 * same text for the same catalogue.
 */
export function teamPage(catalogue: Catalogue, cloudLabel: CloudLabel): string {
  const lines = [
    PAGE_MARK,
    '',
    '# Who may reach what',
    '',
    `From ${code('cloudtun.yaml')}${catalogue.name === 'default' ? '' : ` of ${code(catalogue.name)}`}. It is a picture of what is written there; what the clouds hold is shown by ${code('cloudtun team plan')}, and what a person may do by ${code('cloudtun team check PERSON')}.`,
    '',
    '```mermaid',
    ...teamDiagram(catalogue),
    '```',
    '',
    '## Teams',
    '',
    ...[...catalogue.teams].flatMap(([team, entry]) => teamLines(team, entry, catalogue, cloudLabel)),
    '## What to type',
    '',
    ...commandLines(catalogue),
    '',
    '## Whom to ask',
    '',
    ...askLines(catalogue, cloudLabel),
    ...ruleLines(catalogue),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

function teamLines(team: string, entry: TeamEntry, catalogue: Catalogue, cloudLabel: CloudLabel): readonly string[] {
  const { grants, problems } = catalogueGrants(catalogue, [team]);
  const things = [...new Map(grants.map((grant) => [`${grant.verb} ${grant.subject.name}`, grant])).values()];
  const until = entry.until === undefined ? 'without an end' : `until ${isoDay(endOf(entry.until))}`;
  const principals = principalsOf(entry).map(
    (one) => `${principalText({ ...one, name: code(one.name) })} in ${cloudLabel(one.cloud)}`,
  );
  const members = entry.members ?? [];
  return [
    `### ${code(team)}`,
    '',
    `${until[0]!.toUpperCase()}${until.slice(1)}. Members: ${members.length === 0 ? `whoever is ${principals.join(' or ') || 'nobody'}` : members.map(code).join(', ')}.`,
    '',
    ...(things.length === 0
      ? ['It is given nothing.']
      : table(
          ['may', 'what', 'where', 'as'],
          things.map(({ verb, subject }) => [
            verb,
            code(subject.name),
            placeText(catalogue, verb, subject.name),
            principals.filter((_one, index) => principalsOf(entry)[index]!.cloud === subject.cloud).join(', '),
          ]),
        )),
    ...problems.map(({ text }) => `- not given: ${code(text)}`),
    '',
  ];
}

function placeText(catalogue: Catalogue, verb: GrantVerb, name: string): string {
  const log = verb === 'logs' ? catalogue.logs.get(name) : undefined;
  const target = catalogue.targets.get(log?.target ?? name);
  if (target === undefined) return '-';
  const via = (target.via ?? []).map(({ text }) => code(text));
  const source = log === undefined ? '' : `${code(log.file ?? log.unit ?? log.container ?? '')} on `;
  return `${source}${targetText(target)}${via.length > 0 ? `, through ${via.join(' and ')}` : ''}`;
}

function targetText(target: CatalogueTarget): string {
  if (target.kind === 'database') return `database ${code(target.database)}`;
  if (target.kind === 'host') return code(`${target.host}:${target.hostPort}`);
  return `machine ${code(target.instance)}${target.hostPort === undefined ? '' : ` port ${target.hostPort}`}`;
}

/** What opens it, where there is a command that does. */
function commandFor(verb: GrantVerb, name: string, target: CatalogueTarget): string | undefined {
  switch (verb) {
    case 'connect':
      return `cloudtun ${target.kind === 'database' ? target.form : 'forward'} ${shellWord(name)}`;
    case 'ssh':
      return `cloudtun ssh ${shellWord(name)}`;
    case 'socks':
      return `cloudtun socks ${shellWord(name)}`;
    case 'run':
    case 'logs':
      return undefined;
  }
}

const shellWord = (name: string) => (/^[\w.@:=/-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`);

function commandLines(catalogue: Catalogue): readonly string[] {
  const { grants } = catalogueGrants(catalogue);
  const things = [...new Map(grants.map((grant) => [`${grant.verb} ${grant.subject.name}`, grant])).values()];
  const rows = things.flatMap(({ verb, subject }) => {
    const target = catalogue.targets.get(subject.name);
    const command = target === undefined || verb === 'logs' ? undefined : commandFor(verb, subject.name, target);
    if (target === undefined || command === undefined) return [];
    const port = verb === 'connect' ? (target.port ?? knownPort(target, catalogue)) : undefined;
    const reason = needsReason(catalogue, subject.name) ? ' --reason TEXT' : '';
    return [
      [
        code(subject.name),
        code(`${command}${reason}`),
        port === undefined ? '' : code(`127.0.0.1:${port}`),
        target.user === undefined ? '' : code(target.user),
      ],
    ];
  });
  return rows.length === 0 ? ['Nothing yet.'] : table(['what', 'command', 'then at', 'login'], rows);
}

function needsReason({ policy, groups }: Catalogue, name: string): boolean {
  const { requireReason = false } = policy;
  if (typeof requireReason === 'boolean') return requireReason;
  return requireReason.some((one) => one === name || groups.get(one)?.includes(name) === true);
}

/** For each thing, the teams that have it, and where the cloud knows who is in them. */
function askLines(catalogue: Catalogue, cloudLabel: CloudLabel): readonly string[] {
  const { grants } = catalogueGrants(catalogue);
  const things = Map.groupBy(grants, ({ verb, subject }) => `${verb} ${subject.name}`);
  const rows = [...things.values()].map((those) => {
    const [first] = those;
    const teams = [...new Set(those.map(({ team }) => code(team)))].join(' or ');
    const where = [
      ...new Set(
        those.map(
          ({ principal }) =>
            `${principalText({ ...principal, name: code(principal.name) })} in ${cloudLabel(principal.cloud)}`,
        ),
      ),
    ];
    return [`${first!.verb} ${code(first!.subject.name)}`, teams, where.join(' or ')];
  });
  return [
    `Whoever needs something asks for a change of ${code('cloudtun.yaml')}; ${code('cloudtun team check PERSON TARGET')} prints its lines. To be in a team is to be among its members there, and what it is in the cloud:`,
    '',
    ...(rows.length === 0 ? ['Nobody is given anything yet.'] : table(['for', 'be in team', 'in the cloud be'], rows)),
    '',
  ];
}

function ruleLines({ policy, defaults }: Catalogue): readonly string[] {
  const { requireReason, maxTtl, hours, loopbackOnly } = policy;
  const reason =
    requireReason === true ? 'everything' : Array.isArray(requireReason) ? requireReason.map(code).join(', ') : '';
  const rules = [
    ...(reason === '' ? [] : [`a reason is asked for: ${reason}`]),
    ...(defaults.ttl === undefined ? [] : [`a tunnel lives ${code(defaults.ttl)} where nothing else is said`]),
    ...(maxTtl === undefined ? [] : [`no tunnel lives longer than ${code(maxTtl)}`]),
    ...(hours === undefined ? [] : [`tunnels are open ${formatHours(hours)} only`]),
    ...(loopbackOnly === true ? ['nothing listens but on loopback'] : []),
  ];
  return rules.length === 0 ? [] : ['## Rules', '', ...rules.map((rule) => `- ${rule}`), ''];
}
