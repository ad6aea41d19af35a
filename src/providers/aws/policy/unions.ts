import type { Grant } from '../../../domain/grant.ts';
import { pinnedName } from '../../../domain/pinned-name.ts';
import type { PolicyNotice } from '../../policy-author.ts';
import { type AwsFacts, SSH_PORT, type SubjectFacts, subjectKey } from './facts.ts';

/*
 * The union trap (iam.md 4.3, rule 2). IAM judges the machine and the document of a session each for itself, so whoever may start one
 * document on one machine and another one on another may start either on both, however the statements are cut. A document with a host in
 * it leads to the same place from every machine; the others lead into the machine that they are started on.
 */

interface Use {
  readonly grant: Grant;
  readonly facts: SubjectFacts;
}

/** How many machines a sentence names. */
const SHOWN = 3;

/** Where the grants of one principal combine to more than they list. Teams that are one principal count as one. */
export function unionNotices(grants: readonly Grant[], facts: AwsFacts): readonly PolicyNotice[] {
  const principals = Map.groupBy(grants, ({ principal: { kind, name } }) => `${kind} ${name}`);
  const notices = [...principals.values()].flatMap((those) => noticesOf(those, facts));
  // A team with two principals has one catalogue entry, and one notice.
  return [...new Map(notices.map((notice) => [notice.text, notice])).values()];
}

function noticesOf(grants: readonly Grant[], facts: AwsFacts): readonly PolicyNotice[] {
  const uses = grants.flatMap((grant): readonly Use[] => {
    const found = facts.subjects[subjectKey(grant)];
    return found === undefined ? [] : [{ grant, facts: found }];
  });
  const teams = [...new Set(grants.map(({ team }) => team))].join(' and ');
  return uses.flatMap((use): readonly PolicyNotice[] => {
    if (leadsElsewhere(use)) return [];
    const others = uses.filter(
      (other) =>
        other.facts.region === use.facts.region &&
        machineKey(other) !== machineKey(use) &&
        !isCovered(use, other, uses),
    );
    const labels = [...new Set(others.map((other) => other.facts.machineLabel))];
    if (labels.length === 0) return [];
    const { verb, subject, team } = use.grant;
    const shown =
      labels.length > SHOWN
        ? `${labels.slice(0, SHOWN).join(', ')} and ${labels.length - SHOWN} more`
        : labels.join(', ');
    return [
      {
        level: verb === 'socks' || verb === 'run' ? 'loud' : 'warning',
        code: 'union',
        team,
        subject: subject.name,
        text: `document ${pinnedName(subject.name, verb)} may be started on ${shown} too, and ${EFFECT[verb]} there: what ${teams} may combines`,
      },
    ];
  });
}

const EFFECT: Readonly<Record<Grant['verb'], string>> = {
  connect: 'opens the same port',
  ssh: 'opens the sshd (no key is let in)',
  socks: 'opens everything that it reaches',
  run: 'runs any command',
  logs: 'reads the same file',
};

/** To a host behind the machine: the same one from wherever it is started. */
const leadsElsewhere = ({ grant: { verb }, facts: { to, sshd } }: Use) =>
  (verb === 'connect' && to?.host !== undefined) || (verb === 'ssh' && sshd?.host !== undefined);

const machineKey = ({ facts: { region, machine } }: Use) => JSON.stringify([region, machine]);

/** Whether what the document does on the other machine is listed there anyway. */
function isCovered(use: Use, other: Use, all: readonly Use[]): boolean {
  const there = all.filter((one) => machineKey(one) === machineKey(other));
  const port = portOf(use);
  return there.some((one) => {
    const { verb } = one.grant;
    if (verb === 'run') return use.grant.verb === 'run' || use.grant.verb === 'logs';
    if (verb === 'socks') return port !== undefined || use.grant.verb === 'socks';
    if (verb === 'logs') return use.grant.verb === 'logs' && sourceOf(one) === sourceOf(use);
    return port !== undefined && port === portOf(one);
  });
}

/** The port of the machine itself that it opens. */
function portOf({ grant: { verb }, facts: { to, sshd } }: Use): number | undefined {
  if (verb === 'ssh') return sshd?.host === undefined ? (sshd?.port ?? SSH_PORT) : undefined;
  return verb === 'connect' && to?.host === undefined ? to?.port : undefined;
}

const sourceOf = ({ grant: { subject } }: Use) => JSON.stringify(subject.log);
