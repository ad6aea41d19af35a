import type { Grant, GrantVerb } from '../../../domain/grant.ts';
import { pinnedName } from '../../../domain/pinned-name.ts';
import type { AccessAttempt } from '../../policy-author.ts';
import { type AwsFacts, type SubjectFacts, subjectKey } from './facts.ts';
import { documentArn, machineArn, SHELL_DOCUMENT } from './statements.ts';

/** One call of an attempt, as far as it does not depend on who makes it. */
export type AwsCall =
  /** StartSession; without a document: the shell of the account. */
  | {
      readonly kind: 'start';
      readonly region: string;
      readonly machine: SubjectFacts['machine'];
      readonly document?: string;
    }
  /** The data channel of one's own session, and its end. */
  | { readonly kind: 'channel' | 'end'; readonly region: string }
  /** Ending a session of somebody else. */
  | { readonly kind: 'end-of-another'; readonly region: string }
  | {
      readonly kind: 'call';
      readonly action: string;
      readonly resource: string;
      readonly context?: Readonly<Record<string, string | readonly string[]>>;
    };

export interface AwsAttempt extends AccessAttempt {
  readonly calls: readonly AwsCall[];
}

/** Where `instance/*` with a tag is meant: one that has it. */
const TAGGED = 'i-0tagged';
/** A machine that nobody is given, without any tag. */
const OTHER = 'i-0other';
/** A user of a database that nobody is given. */
const OTHER_USER = 'cloudtun-nobody';

export function machineResource(facts: AwsFacts, region: string, machine: SubjectFacts['machine']): string {
  return machineArn(facts, region, machine.kind === 'tag' ? { kind: 'id', id: TAGGED } : machine);
}

/** Everything worth trying at what the grants are about. */
export function awsAttempts(grants: readonly Grant[], facts: AwsFacts): readonly AwsAttempt[] {
  const given = [...new Map(grants.map((grant) => [`${grant.verb} ${grant.subject.name}`, grant])).values()];
  const subjects = given.flatMap((grant) => {
    const found = facts.subjects[subjectKey(grant)];
    return found === undefined ? [] : [{ grant, found }];
  });
  const uses = subjects.map(({ grant, found }) => useAttempt(grant, found, facts));
  const machines = new Map(subjects.map(({ grant, found }) => [machineKey(found), { grant, found }]));
  const around = [...machines.values()].flatMap(({ grant, found }) => machineAttempts(grant, found, facts));
  const edits = subjects.flatMap(({ grant, found }) => documentAttempts(grant, found, facts));
  const logins = subjects.flatMap(({ grant, found }) => otherLogins(grant, found, facts));
  const all = [...uses, ...around, ...logins, ...edits];
  return [...new Map(all.map((each) => [each.id, each])).values()];
}

const machineKey = ({ region, machine }: SubjectFacts) => JSON.stringify([region, machine]);

/** What a grant is for, with all the calls that it takes. */
function useAttempt({ verb, subject }: Grant, found: SubjectFacts, facts: AwsFacts): AwsAttempt {
  const { region, machine, machineLabel, to, login = machine } = found;
  const name = pinnedName(subject.name, verb);
  const about: Record<GrantVerb, string> = {
    connect: `open ${subject.name} (${to?.host ?? machineLabel}:${to?.port}) through ${machineLabel}`,
    ssh: `log in to ${machineLabel}`,
    socks: `reach everything through ${machineLabel}`,
    run: `run commands on ${machineLabel}`,
    logs: `read the log ${subject.name} of ${machineLabel}`,
  };
  const logins: AwsCall[] =
    verb === 'connect' && subject.iamAuth && subject.user !== undefined
      ? (found.databaseIds ?? []).map((id) => ({
          kind: 'call',
          action: 'rds-db:connect',
          resource: `arn:${facts.partition}:rds-db:${region}:${facts.account}:dbuser:${id}/${subject.user}`,
        }))
      : [];
  const keys: AwsCall[] =
    verb === 'ssh' && (login.kind === 'tag' || login.id.startsWith('i-'))
      ? [pushKey(facts, found, found.osUser ?? 'ec2-user')]
      : [];
  return {
    id: `${verb} ${subject.name}`,
    verb,
    subject: subject.name,
    text: `${about[verb]} with document ${name}`,
    calls: [
      { kind: 'start', region, machine, document: documentArn(facts, region, name) },
      { kind: 'channel', region },
      { kind: 'end', region },
      ...logins,
      ...keys,
    ],
  };
}

function pushKey(facts: AwsFacts, { region, ...found }: SubjectFacts, user: string): AwsCall {
  const machine = found.login ?? found.machine;
  return {
    kind: 'call',
    action: 'ec2-instance-connect:SendSSHPublicKey',
    resource: machineResource(facts, region, machine),
    context: {
      'ec2:osuser': user,
      ...(machine.kind === 'tag' && { [`aws:ResourceTag/${machine.key}`]: machine.value }),
    },
  };
}

/** The ways around the pins, machine by machine. */
function machineAttempts(grant: Grant, found: SubjectFacts, facts: AwsFacts): readonly AwsAttempt[] {
  const subject = grant.subject.name;
  const { region, machine, machineLabel } = found;
  const start = (document?: string): AwsCall => ({
    kind: 'start',
    region,
    machine,
    ...(document !== undefined && { document: documentArn(facts, region, document) }),
  });
  const attempt = (what: string, text: string, call: AwsCall): AwsAttempt => ({
    id: `${what} ${machineLabel}`,
    subject,
    text: `${text} ${machineLabel}`,
    calls: [call],
  });
  const tag = machine.kind === 'tag' ? machine.key : 'Name';
  return [
    attempt('shell', 'open a shell, without naming a document, on', start()),
    attempt('shell document', 'open a shell on', start(SHELL_DOCUMENT)),
    attempt('any host', 'open any host and port through', start('AWS-StartPortForwardingSessionToRemoteHost')),
    attempt('any port', 'open any port of', start('AWS-StartPortForwardingSession')),
    attempt('sshd', "open the sshd, by AWS's own document, of", start('AWS-StartSSHSession')),
    attempt('interactive command', 'run an interactive command on', start('AWS-StartInteractiveCommand')),
    attempt('command', 'send a command, as root, to', {
      kind: 'call',
      action: 'ssm:SendCommand',
      resource: machineResource(facts, region, machine),
    }),
    attempt('another machine than', 'use its documents on another machine than', {
      kind: 'start',
      region,
      machine: { kind: 'id', id: OTHER },
      document: documentArn(facts, region, pinnedName(subject, grant.verb)),
    }),
    attempt('login as root to', 'push a key for root to', pushKey(facts, found, 'root')),
    // Without the tag a tag policy means nothing; with it every machine is one of theirs.
    ...(machine.kind === 'tag'
      ? [
          attempt(`tag ${tag} for`, `give another machine the tag ${tag} of`, {
            kind: 'call',
            action: 'ec2:CreateTags',
            resource: machineArn(facts, region, { kind: 'id', id: OTHER }),
            context: { 'aws:TagKeys': [tag], [`aws:RequestTag/${tag}`]: machine.value },
          }),
        ]
      : []),
    {
      id: `session of another ${region}`,
      subject,
      text: 'end the session of somebody else',
      calls: [{ kind: 'end-of-another', region }],
    },
  ];
}

/** Tokens for another user than the one that the catalogue names. */
function otherLogins(
  { verb, subject }: Grant,
  { region, databaseIds = [] }: SubjectFacts,
  facts: AwsFacts,
): readonly AwsAttempt[] {
  if (verb !== 'connect' || databaseIds.length === 0) return [];
  return [
    {
      id: `another user of ${subject.name}`,
      subject: subject.name,
      text: `log in to ${subject.name} as another user`,
      calls: databaseIds.map((id) => ({
        kind: 'call',
        action: 'rds-db:connect',
        resource: `arn:${facts.partition}:rds-db:${region}:${facts.account}:dbuser:${id}/${OTHER_USER}`,
      })),
    },
  ];
}

/** Whoever may change a pinned document can aim it elsewhere. */
function documentAttempts({ verb, subject }: Grant, { region }: SubjectFacts, facts: AwsFacts): readonly AwsAttempt[] {
  const name = pinnedName(subject.name, verb);
  const attempt = (what: string, action: string, text: string): AwsAttempt => ({
    id: `${what} ${name}`,
    subject: subject.name,
    text: `${text} the document ${name}`,
    calls: [{ kind: 'call', action, resource: documentArn(facts, region, name) }],
  });
  return [
    attempt('change document', 'ssm:UpdateDocument', 'change'),
    attempt('change version of', 'ssm:UpdateDocumentDefaultVersion', 'choose another version of'),
    attempt('delete document', 'ssm:DeleteDocument', 'delete'),
    attempt('share document', 'ssm:ModifyDocumentPermission', 'share'),
  ];
}
