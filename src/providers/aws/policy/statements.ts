import type { Grant } from '../../../domain/grant.ts';
import { isoSeconds } from '../../../domain/iso-day.ts';
import { pinnedName } from '../../../domain/pinned-name.ts';
import type { JsonValue } from '../../policy-author.ts';
import { type AwsFacts, type MachineScope, type SubjectFacts, subjectKey } from './facts.ts';

/*
 * The statements of one team (iam.md 4.1-4.3). Target and document stand in one statement, every allowance has the document check and
 * the end date, and what goes around them is denied.
 */

export interface Statement {
  readonly Sid: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: { readonly [operator: string]: { readonly [key: string]: string | readonly string[] } };
}

/** Documents of AWS that lead wherever the caller says (iam.md 4.3, rule 3), and the shell of the account. */
const OPEN_DOCUMENTS = [
  'AWS-StartSSHSession',
  'AWS-StartInteractiveCommand',
  'AWS-StartNonInteractiveCommand',
  'AWS-StartPortForwardingSession',
  'AWS-StartPortForwardingSessionToRemoteHost',
  'AWS-StartPortForwardingSessionToSocket',
];
export const SHELL_DOCUMENT = 'SSM-SessionManagerRunShell';

/** What cloudtun calls on the way to a tunnel, and what has no resource to be narrowed by (iam.md 4.1). */
const LOOKUPS = [
  'ec2:DescribeImages',
  'ec2:DescribeInstances',
  'ec2:DescribeNetworkAcls',
  'ec2:DescribeSecurityGroups',
  'ec2:DescribeSubnets',
  'rds:DescribeDBClusterEndpoints',
  'rds:DescribeDBClusters',
  'rds:DescribeDBInstances',
  'rds:DescribeDBProxies',
  'rds:DescribeDBProxyEndpoints',
  'rds:DescribeDBSubnetGroups',
  'rds:ListTagsForResource',
  'ssm:DescribeInstanceInformation',
];

/** Whoever may do one of these can lead sessions elsewhere, or needs none. */
const WAYS_AROUND = [
  'ssm:AddTagsToResource',
  'ssm:CancelCommand',
  'ssm:CreateActivation',
  'ssm:CreateAssociation',
  'ssm:CreateDocument',
  'ssm:DeleteDocument',
  'ssm:ModifyDocumentPermission',
  'ssm:RemoveTagsFromResource',
  'ssm:SendCommand',
  'ssm:StartAutomationExecution',
  'ssm:UpdateDocument',
  'ssm:UpdateDocumentDefaultVersion',
];

/** What people are known by in the names of their sessions (iam.md 4.2). */
export interface SessionNames {
  readonly hasUsers: boolean;
  readonly hasRoles: boolean;
  /** Whether one of its principals may log in to a machine by another team: what this team denies would hold for that too. */
  readonly hasOtherLogins: boolean;
}

export const documentArn = (facts: AwsFacts, region: string, name: string) =>
  `arn:${facts.partition}:ssm:${region}:${name.startsWith('AWS-') ? '' : facts.account}:document/${name}`;

/** What sessions may go to. */
export function machineArn({ partition, account }: AwsFacts, region: string, scope: MachineScope): string {
  if (scope.kind === 'tag') return `arn:${partition}:ec2:${region}:${account}:instance/*`;
  return scope.id.startsWith('mi-')
    ? `arn:${partition}:ssm:${region}:${account}:managed-instance/${scope.id}`
    : `arn:${partition}:ec2:${region}:${account}:instance/${scope.id}`;
}

/** @param grants of one team in one account; all have the same end */
export function teamStatements(grants: readonly Grant[], facts: AwsFacts, names: SessionNames): readonly Statement[] {
  const until = grants.find((grant) => grant.until !== undefined)?.until;
  const inTime: Statement['Condition'] =
    until === undefined ? {} : { DateLessThan: { 'aws:CurrentTime': isoSeconds(until) } };
  const subjects = grants.map((grant) => ({ grant, facts: facts.subjects[subjectKey(grant)]! }));
  const allowances = [
    ...sessionStatements(subjects, facts),
    ...ownSessions(facts, names, subjects),
    ...loginStatements(subjects, facts),
    {
      Sid: 'FindTheWay',
      Effect: 'Allow',
      Action: LOOKUPS,
      Resource: '*',
    } as const,
    ...listed(
      { Sid: 'ReadOwnDocuments', Effect: 'Allow', Action: ['ssm:DescribeDocument', 'ssm:GetDocument'] },
      subjects.map(({ grant, facts: { region } }) =>
        documentArn(facts, region, pinnedName(grant.subject.name, grant.verb)),
      ),
    ),
    ...keyStatements(subjects, facts),
  ];
  return named([
    ...allowances.map((one): Statement => withCondition(one, inTime)),
    ...denials(subjects, facts, names.hasOtherLogins),
  ]);
}

interface Subject {
  readonly grant: Grant;
  readonly facts: SubjectFacts;
}

/** Resources of one statement; a policy that is too large is split between statements. */
const RESOURCES_A_STATEMENT = 20;

/**
 * A name as a text in a policy: nothing in it stands for anything else ("reference_policies_variables", "special characters"). Somebody
 * who calls a database user `*` is given the user of that name.
 */
export const literal = (text: string) => text.replaceAll(/[*?$]/g, (sign) => `\${${sign}}`);

/** A statement over resources, as often as they need it; none without any. */
function listed(statement: Omit<Statement, 'Resource'>, resources: readonly string[]): readonly Statement[] {
  return chunks(unique(resources), RESOURCES_A_STATEMENT).map((some, index) => ({
    ...statement,
    Sid: index === 0 ? statement.Sid : `${statement.Sid}${index + 1}`,
    Resource: some,
  }));
}

/** `Start`, `tag:role=bastion` → StartRoleBastion: a name that stays when other machines come and go, so that a change shows as one. */
const sidOf = (what: string, machine: MachineScope) =>
  what +
  (machine.kind === 'id' ? machine.id : `${machine.key} ${machine.value}`)
    .split(/[^A-Za-z0-9]+/)
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');

/** Statements of different things whose names look the same are told apart by a number. */
function named(statements: readonly Statement[]): readonly Statement[] {
  const seen = new Map<string, number>();
  return statements.map((statement) => {
    const count = (seen.get(statement.Sid) ?? 0) + 1;
    seen.set(statement.Sid, count);
    return count === 1 ? statement : { ...statement, Sid: `${statement.Sid}N${count}` };
  });
}

/** One statement for a machine and what is opened on it (rules 1 and 2). */
function sessionStatements(subjects: readonly Subject[], facts: AwsFacts): readonly Statement[] {
  const byMachine = Map.groupBy(subjects, ({ facts: { region, machine } }) => JSON.stringify([region, machine]));
  return [...byMachine.values()].flatMap((those) => {
    const { region, machine } = those[0]!.facts;
    const documents = unique(
      those.map(({ grant }) => documentArn(facts, region, pinnedName(grant.subject.name, grant.verb))),
    );
    return chunks(documents, RESOURCES_A_STATEMENT).flatMap((some): readonly Statement[] => {
      const target = machineArn(facts, region, machine);
      const start: Statement = {
        Sid: sidOf('Start', machine),
        Effect: 'Allow',
        Action: 'ssm:StartSession',
        Resource: [target, ...some],
        Condition: { BoolIfExists: { 'ssm:SessionDocumentAccessCheck': 'true' } },
      };
      if (machine.kind === 'id') return [start];
      // The tag is asked of the machine alone. Of a document, which has none, it would never hold; and "if exists" would hold for every
      // machine without the tag. IAM judges machine and document each for itself in any case.
      const tagged = { StringEquals: { [`ssm:resourceTag/${machine.key}`]: literal(machine.value) } };
      return [
        withCondition({ ...start, Sid: `${start.Sid}Tagged`, Resource: target }, tagged),
        { ...start, Sid: `${start.Sid}Documents`, Resource: some },
      ];
    });
  });
}

/** The data channel, and ending and resuming what one has begun oneself (iam.md 4.2). */
function ownSessions(facts: AwsFacts, names: SessionNames, subjects: readonly Subject[]): readonly Statement[] {
  const regions = unique(subjects.map(({ facts: { region } }) => region));
  const session = (pattern: string) =>
    regions.map((region) => `arn:${facts.partition}:ssm:${region}:${facts.account}:session/${pattern}`);
  const patterns = [...(names.hasUsers ? [`\${aws:username}-*`] : []), `\${aws:userid}-*`];
  return [
    {
      Sid: 'OwnDataChannel',
      Effect: 'Allow',
      Action: 'ssmmessages:OpenDataChannel',
      Resource: patterns.flatMap(session),
    },
    // Session ids of roles begin with a session name that no variable has; the tag of the session says whose it is. Whether the tag is
    // there for this action is not documented, and its being absent must not lock everybody out: a channel takes the session's token
    // besides, which is given only to whoever starts or resumes it.
    ...(names.hasRoles
      ? [
          {
            Sid: 'OwnDataChannelByTag',
            Effect: 'Allow',
            Action: 'ssmmessages:OpenDataChannel',
            Resource: session('*'),
            Condition: { StringEqualsIfExists: { 'ssm:resourceTag/aws:ssmmessages:session-id': `\${aws:userid}` } },
          } as const,
        ]
      : []),
    {
      Sid: 'OwnSessions',
      Effect: 'Allow',
      Action: ['ssm:ResumeSession', 'ssm:TerminateSession'],
      Resource: session('*'),
      Condition: { StringEquals: { 'ssm:resourceTag/aws:ssmmessages:session-id': `\${aws:userid}` } },
    },
    ...(names.hasUsers
      ? [
          {
            Sid: 'OwnSessionsByName',
            Effect: 'Allow',
            Action: ['ssm:ResumeSession', 'ssm:TerminateSession'],
            Resource: session(`\${aws:username}-*`),
          } as const,
        ]
      : []),
  ];
}

/** Logins to what is behind a tunnel: database tokens, secrets, keys that a machine lets in for a minute. */
function loginStatements(subjects: readonly Subject[], facts: AwsFacts): readonly Statement[] {
  const { partition, account } = facts;
  const tokens = subjects.flatMap(({ grant: { verb, subject }, facts: { region, databaseIds = [] } }) =>
    verb === 'connect' && subject.iamAuth && subject.user !== undefined
      ? databaseIds.map((id) => `arn:${partition}:rds-db:${region}:${account}:dbuser:${id}/${literal(subject.user!)}`)
      : [],
  );
  const secrets = subjects.flatMap(({ grant: { verb }, facts: { secretArn } }) =>
    verb === 'connect' && secretArn !== undefined ? [secretArn] : [],
  );
  const keys = subjects.flatMap(({ grant, facts: subject }): Statement[] => {
    const machine = subject.login ?? subject.machine;
    // EC2 Instance Connect knows no machines outside EC2: people log in there with keys of their own.
    if (grant.verb !== 'ssh' || (machine.kind === 'id' && !machine.id.startsWith('i-'))) return [];
    return [
      {
        Sid: sidOf('Login', machine),
        Effect: 'Allow',
        Action: 'ec2-instance-connect:SendSSHPublicKey',
        Resource: machineArn(facts, subject.region, machine),
        Condition: {
          StringEquals: {
            'ec2:osuser': literal(subject.osUser ?? 'ec2-user'),
            ...(machine.kind === 'tag' && { [`aws:ResourceTag/${machine.key}`]: literal(machine.value) }),
          },
        },
      },
    ];
  });
  return [
    ...listed({ Sid: 'DatabaseLogin', Effect: 'Allow', Action: 'rds-db:connect' }, tokens),
    ...listed({ Sid: 'DatabaseSecret', Effect: 'Allow', Action: 'secretsmanager:GetSecretValue' }, secrets),
    ...keys,
  ];
}

/** Sessions that run something are encrypted with a key where the account wants that; those of ports never are. */
function keyStatements(
  subjects: readonly Subject[],
  { partition, account, sessionKeys = {} }: AwsFacts,
): readonly Statement[] {
  const running = subjects.filter(({ grant: { verb } }) => verb === 'run' || verb === 'logs');
  return unique(running.map(({ facts: { region } }) => region)).flatMap((region, index): readonly Statement[] => {
    const key = sessionKeys[region];
    if (key === undefined) return [];
    const alias = /^(?:arn:.*:)?(alias\/.+)$/.exec(key)?.[1];
    return [
      {
        Sid: `SessionKey${index + 1}`,
        Effect: 'Allow',
        Action: 'kms:GenerateDataKey',
        Resource:
          key.startsWith('arn:') && alias === undefined
            ? key
            : `arn:${partition}:kms:${region}:${account}:key/${alias === undefined ? key : '*'}`,
        ...(alias !== undefined && { Condition: { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': alias } } }),
      },
    ];
  });
}

/** What would go around the pins (rule 3), and make somebody else's machine one of theirs (rule 4). They have no end. */
function denials(subjects: readonly Subject[], facts: AwsFacts, hasOtherLogins: boolean): readonly Statement[] {
  const tags = unique(subjects.flatMap(({ facts: { machine } }) => (machine.kind === 'tag' ? [machine.key] : [])));
  const hasLogins = hasOtherLogins || subjects.some(({ grant }) => grant.verb === 'ssh');
  const connect = hasLogins
    ? ['ec2-instance-connect:OpenTunnel', 'ec2-instance-connect:SendSerialConsoleSSHPublicKey']
    : ['ec2-instance-connect:*'];
  const shells = [`arn:${facts.partition}:ssm:*:${facts.account}:document/${SHELL_DOCUMENT}`];
  return [
    {
      Sid: 'NoOtherDocuments',
      Effect: 'Deny',
      Action: 'ssm:StartSession',
      Resource: [...OPEN_DOCUMENTS.map((name) => `arn:${facts.partition}:ssm:*:*:document/${name}`), ...shells],
    },
    { Sid: 'NoWayAround', Effect: 'Deny', Action: [...WAYS_AROUND, ...connect], Resource: '*' },
    ...(tags.length > 0
      ? [
          {
            Sid: 'NoTagChanges',
            Effect: 'Deny',
            Action: ['ec2:CreateTags', 'ec2:DeleteTags'],
            Resource: '*',
            // Names of condition keys have no case, so a machine with the tag Role is one with the tag role.
            Condition: { 'ForAnyValue:StringEqualsIgnoreCase': { 'aws:TagKeys': tags.map(literal) } },
          } as const,
        ]
      : []),
  ];
}

function withCondition(statement: Statement, more: NonNullable<Statement['Condition']>): Statement {
  const merged = { ...statement.Condition };
  for (const [operator, keys] of Object.entries(more)) merged[operator] = { ...merged[operator], ...keys };
  return Object.keys(merged).length === 0 ? statement : { ...statement, Condition: merged };
}

export const policyDocument = (statements: readonly Statement[]): JsonValue => ({
  Version: '2012-10-17',
  Statement: statements as unknown as JsonValue,
});

export const unique = <Value>(values: readonly Value[]): readonly Value[] => [...new Set(values)];

function chunks<Value>(values: readonly Value[], size: number): readonly (readonly Value[])[] {
  return Array.from({ length: Math.ceil(values.length / size) }, (_, index) =>
    values.slice(index * size, (index + 1) * size),
  );
}
