/**
 * The grant of one database to one person by hand, as an administrator would write it: one machine and one pinned document in one
 * statement, the person's own sessions, reading what finding the way needs, and the deny pack.
 */
const REGION = 'ap-northeast-1';
const ACCOUNT = '111122223333';
const PARTS = `${REGION}:${ACCOUNT}`;

export const BASTION = 'i-0a1b2c3d4e5f60001';
export const BASTION_ARN = `arn:aws:ec2:${PARTS}:instance/${BASTION}`;
export const PINNED_DOCUMENT = 'practice-prod';

const OTHER_DOCUMENTS = [
  `arn:aws:ssm:${PARTS}:document/SSM-SessionManagerRunShell`,
  ...['StartSSHSession', 'StartInteractiveCommand', 'StartNonInteractiveCommand', 'StartPortForwardingSession*'].map(
    (name) => `arn:aws:ssm:${REGION}::document/AWS-${name}`,
  ),
];

export interface GrantOptions {
  /** ISO 8601; default: none. */
  readonly until?: string;
  /** What the names of the person's sessions begin with, in the ARNs that AWS compares. */
  readonly sessions?: string;
  /** Leaves the explicit denials out. */
  readonly withoutDenials?: boolean;
}

/** A policy document. */
export function pinnedGrant({ until, sessions = 'alice', withoutDenials = false }: GrantOptions = {}): string {
  const inTime = until === undefined ? {} : { DateLessThan: { 'aws:CurrentTime': until } };
  const statements = [
    {
      Sid: 'OneBastionOneDocument',
      Effect: 'Allow',
      Action: 'ssm:StartSession',
      Resource: [BASTION_ARN, `arn:aws:ssm:${PARTS}:document/${PINNED_DOCUMENT}`],
      Condition: { BoolIfExists: { 'ssm:SessionDocumentAccessCheck': 'true' }, ...inTime },
    },
    {
      Sid: 'OwnDataChannel',
      Effect: 'Allow',
      Action: 'ssmmessages:OpenDataChannel',
      Resource: `arn:aws:ssm:${PARTS}:session/${sessions}-*`,
    },
    {
      Sid: 'OwnSessionsOnly',
      Effect: 'Allow',
      Action: ['ssm:TerminateSession', 'ssm:ResumeSession'],
      Resource: `arn:aws:ssm:${PARTS}:session/*`,
      Condition: {
        StringEquals: {
          'ssm:resourceTag/aws:ssmmessages:session-id': `\${aws:userid}`,
          'ssm:resourceTag/aws:ssmmessages:target-id': BASTION,
        },
      },
    },
    {
      Sid: 'FindTheWay',
      Effect: 'Allow',
      Action: ['ec2:Describe*', 'rds:Describe*', 'rds:ListTagsForResource', 'ssm:DescribeInstanceInformation'],
      Resource: '*',
    },
    {
      Sid: 'ReadThePin',
      Effect: 'Allow',
      Action: 'ssm:GetDocument',
      Resource: `arn:aws:ssm:${PARTS}:document/${PINNED_DOCUMENT}`,
    },
  ];
  const denials = [
    { Sid: 'NoOtherSessions', Effect: 'Deny', Action: 'ssm:StartSession', Resource: OTHER_DOCUMENTS },
    {
      Sid: 'NoWayAround',
      Effect: 'Deny',
      Action: [
        'ssm:SendCommand',
        'ssm:CreateDocument',
        'ssm:UpdateDocument*',
        'ssm:DeleteDocument',
        'ssm:AddTagsToResource',
        'ec2:CreateTags',
        'ec2:DeleteTags',
        'ec2-instance-connect:*',
      ],
      Resource: '*',
    },
  ];
  return JSON.stringify({ Version: '2012-10-17', Statement: [...statements, ...(withoutDenials ? [] : denials)] });
}
