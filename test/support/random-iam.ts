/**
 * Random IAM policies and requests for two evaluators to agree on: small vocabularies, so that statements often fit, nearly fit, or fit in
 * all but a condition. Only what AWS documents an answer for is made; what is left out on purpose is listed in the property test.
 */
import fc from 'fast-check';

const ACCOUNT = '111122223333';
const REGION = 'eu-west-1';
const PARTS = `${REGION}:${ACCOUNT}`;

/** Actions with a resource that each takes. */
const REQUESTS: readonly (readonly [action: string, resources: readonly string[]])[] = [
  [
    'ssm:StartSession',
    [
      `arn:aws:ec2:${PARTS}:instance/i-0a1b2c3d4e5f60001`,
      `arn:aws:ec2:${PARTS}:instance/i-0a1b2c3d4e5f60002`,
      `arn:aws:ssm:${PARTS}:document/cloudtun-prod`,
      `arn:aws:ssm:${PARTS}:document/SSM-SessionManagerRunShell`,
      `arn:aws:ssm:${PARTS}:managed-instance/mi-0a1b2c3d4e5f60001`,
    ],
  ],
  ['ssm:TerminateSession', [`arn:aws:ssm:${PARTS}:session/alice-0123`, `arn:aws:ssm:${PARTS}:session/bob-4567`]],
  [
    'ssm:ResumeSession',
    [`arn:aws:ssm:${PARTS}:session/alice-0123`, `arn:aws:ssm:us-east-1:${ACCOUNT}:session/bob-4567`],
  ],
  ['ssm:GetDocument', [`arn:aws:ssm:${PARTS}:document/cloudtun-prod`]],
  ['ssm:DescribeSessions', ['*']],
  ['ec2:DescribeInstances', ['*']],
  ['ec2-instance-connect:SendSSHPublicKey', [`arn:aws:ec2:${PARTS}:instance/i-0a1b2c3d4e5f60001`]],
  ['rds-db:connect', [`arn:aws:rds-db:${PARTS}:dbuser:db-ABC/reader`, `arn:aws:rds-db:${PARTS}:dbuser:db-ABC/admin`]],
  ['secretsmanager:GetSecretValue', [`arn:aws:secretsmanager:${PARTS}:secret:orders-AbCdEf`]],
];

const request = fc
  .constantFrom(...REQUESTS)
  .chain(([action, resources]) => fc.record({ action: fc.constant(action), resource: fc.constantFrom(...resources) }));

const optional = <Value>(values: readonly Value[]) => fc.option(fc.constantFrom(...values), { nil: undefined });

const context = fc
  .record({
    'aws:username': optional(['alice', 'bob', 'a*']),
    'aws:userid': optional(['AIDAEXAMPLE', 'AROAEXAMPLE:alice']),
    'aws:PrincipalTag/team': optional(['orders', 'web', '']),
    'aws:SourceIp': optional(['10.1.2.3', '203.0.113.9', '10.255.255.255']),
    'aws:CurrentTime': optional(['2026-11-22T10:00:00Z', '2027-04-01T00:00:00Z']),
    'aws:EpochTime': optional(['1790000000', '1806000000']),
    'aws:MultiFactorAuthPresent': optional(['true', 'false']),
    'aws:MultiFactorAuthAge': optional(['0', '299', '300', '3600.5']),
    'aws:RequestedRegion': optional([REGION, 'us-east-1']),
    'aws:PrincipalArn': optional([`arn:aws:iam::${ACCOUNT}:user/alice`, `arn:aws:iam::${ACCOUNT}:role/team/readers`]),
    'aws:TagKeys': optional([['role'], ['role', 'team'], ['team', 'Name', 'cost']]),
  })
  .map((keys) => Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined && value !== '')));

const some = <Value>(value: fc.Arbitrary<Value>) => fc.oneof(value, fc.array(value, { minLength: 1, maxLength: 3 }));

const actionPattern = fc.constantFrom(
  ...REQUESTS.map(([action]) => action),
  '*',
  'ssm:*',
  'SSM:startsession',
  'ssm:*Session',
  'ssm:?erminateSession',
  'ec2:Describe*',
  's3:*',
  'ec2-instance-connect:*',
);

const PLAIN_RESOURCES = [
  '*',
  ...REQUESTS.flatMap(([, resources]) => resources),
  'arn:aws:ssm:*:*:document/*',
  `arn:aws:ssm:${PARTS}:session/\${aws:username, 'nobody'}-*`,
  `arn:aws:ec2:${PARTS}:instance/i-*`,
  `arn:aws:ec2:*:*:instance/i-0a1b2c3d4e5f6000?`,
  `arn:aws:rds-db:${PARTS}:dbuser:*/reader`,
  `arn:aws:rds-db:*:*:dbuser:db-ABC/*`,
  `arn:aws-cn:ssm:${PARTS}:document/cloudtun-prod`,
];
const plainResource = fc.constantFrom(...PLAIN_RESOURCES);
/** Variables that may have no value, and ARNs that break off: what they mean in NotResource is not documented. */
const anyResource = fc.constantFrom(
  ...PLAIN_RESOURCES,
  'arn:aws:ssm:*',
  `arn:aws:ssm:*:${ACCOUNT}:session/\${aws:username}-*`,
  `arn:aws:ssm:${PARTS}:document/\${aws:PrincipalTag/team}-*`,
);

const suffix = fc.constantFrom('', '', 'IfExists');

function condition(
  operators: readonly string[],
  keys: readonly string[],
  values: readonly string[],
): fc.Arbitrary<readonly [string, string, string | readonly string[]]> {
  return fc.tuple(
    fc.tuple(fc.constantFrom(...operators), suffix).map(([operator, ending]) => operator + ending),
    fc.constantFrom(...keys),
    some(fc.constantFrom(...values)),
  );
}

const STRINGS = ['Equals', 'NotEquals', 'EqualsIgnoreCase', 'NotEqualsIgnoreCase', 'Like', 'NotLike'].map(
  (name) => `String${name}`,
);
const COMPARISONS = ['Equals', 'NotEquals', 'LessThan', 'LessThanEquals', 'GreaterThan', 'GreaterThanEquals'];

const anyCondition = fc.oneof(
  condition(['StringLike', 'StringNotLike'], ['aws:username'], [`a\${*}`, `\${*}`, `a\${?}`, '?\u002a', 'a?']),
  condition(
    STRINGS,
    ['aws:username', 'aws:userid', 'AWS:PrincipalTag/team', 'aws:requestedregion'],
    ['alice', 'ALICE', 'a*', '*:alice', 'orders', 'w?b', REGION, `\${aws:username, 'bob'}`],
  ),
  condition(
    ['ArnEquals', 'ArnLike', 'ArnNotEquals', 'ArnNotLike'],
    ['aws:PrincipalArn'],
    [`arn:aws:iam::${ACCOUNT}:user/alice`, `arn:aws:iam::*:role/*`, `arn:aws:iam::${ACCOUNT}:user/a?ice`],
  ),
  condition(
    COMPARISONS.map((name) => `Numeric${name}`),
    ['aws:MultiFactorAuthAge'],
    ['300', '299', '3600.5', '-1'],
  ),
  condition(
    COMPARISONS.map((name) => `Date${name}`),
    ['aws:CurrentTime'],
    ['2026-11-22T10:00:00Z', '2027-03-31T22:00:00Z', '2027-04-01', '2026-11-22T19:00:00+09:00'],
  ),
  condition(['Bool'], ['aws:MultiFactorAuthPresent'], ['true', 'false', 'TRUE']),
  condition(['IpAddress'], ['aws:SourceIp'], ['10.0.0.0/8', '203.0.113.9', '2001:db8::/32', '10.1.2.3/32']),
  condition(['NotIpAddress'], ['aws:SourceIp'], ['10.0.0.0/8', '203.0.113.9', '10.1.2.3/32']),
  fc.tuple(
    fc.constant('Null'),
    fc.constantFrom('aws:username', 'aws:TagKeys', 'aws:MultiFactorAuthPresent'),
    fc.constantFrom('true', 'false'),
  ),
  fc.tuple(
    fc
      .constantFrom('ForAllValues:', 'ForAnyValue:')
      .chain((set) => fc.constantFrom(...STRINGS).map((one) => set + one)),
    fc.constant('aws:TagKeys'),
    some(fc.constantFrom('role', 'team', 'ROLE', 't*', 'Name', 'cost')),
  ),
);

const conditions = fc.array(anyCondition, { maxLength: 3 }).map((list) => {
  const block: Record<string, Record<string, string | readonly string[]>> = {};
  for (const [operator, key, values] of list) block[operator] = { ...block[operator], [key]: values };
  return block;
});

const statement = fc
  .record({
    effect: fc.constantFrom('Allow', 'Allow', 'Deny'),
    action: fc.tuple(fc.constantFrom('Action', 'Action', 'Action', 'NotAction'), some(actionPattern)),
    resource: fc.oneof(
      { weight: 3, arbitrary: fc.tuple(fc.constant('Resource'), some(anyResource)) },
      { weight: 1, arbitrary: fc.tuple(fc.constant('NotResource'), some(plainResource)) },
    ),
    conditions,
    isBare: fc.boolean(),
  })
  .map(({ effect, action, resource, conditions: block, isBare }) => ({
    Effect: effect,
    [action[0]]: action[1],
    [resource[0]]: resource[1],
    ...(isBare || Object.keys(block).length === 0 ? {} : { Condition: block }),
  }));

const policy = fc
  .array(statement, { minLength: 1, maxLength: 4 })
  .map((statements) => ({ Version: '2012-10-17', Statement: statements }));

const sometimes = <Value>(value: fc.Arbitrary<Value>) =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });

/** A principal's policies and something it asks for. */
export const iamCase = fc.record({
  identity: fc.array(policy, { maxLength: 3 }),
  boundary: sometimes(policy),
  session: sometimes(policy),
  request,
  context,
});

export const IAM_CASE_ACCOUNT = ACCOUNT;
