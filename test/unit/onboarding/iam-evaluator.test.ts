import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { evaluateCall, evaluateSessionStart } from '../../../src/onboarding/core/iam-call.ts';
import { evaluateIam, type IamRequest } from '../../../src/onboarding/core/iam-evaluator.ts';
import { type IamPolicy, readIamPolicy } from '../../../src/onboarding/core/iam-policy.ts';

const ARN = 'arn:aws:ssm:eu-west-1:111122223333';
const DOCUMENT = `${ARN}:document/cloudtun-prod`;

function policy(...statements: readonly object[]): IamPolicy {
  const found = readIamPolicy('test', { Version: '2012-10-17', Statement: statements });
  assert.ok(found.ok, found.ok ? '' : found.problem);
  return found.policy;
}

const allow = (members: object = {}) => ({ Effect: 'Allow', Action: '*', Resource: '*', ...members });
const deny = (members: object = {}) => ({ Effect: 'Deny', Action: '*', Resource: '*', ...members });

function decide(statements: readonly object[], request: Partial<IamRequest> = {}) {
  return evaluateIam(
    { identity: [policy(...statements)] },
    { action: 'ssm:StartSession', resource: DOCUMENT, context: {}, ...request },
  );
}

/** The decision for one condition in an otherwise open Allow. */
const when = (operator: string, key: string, values: string | readonly string[], context: IamRequest['context']) =>
  decide([allow({ Condition: { [operator]: { [key]: values } } })], { context }).decision;

describe('what decides', () => {
  test('nothing allows nothing', () => {
    assert.equal(
      evaluateIam({ identity: [] }, { action: 'a:b', resource: '*', context: {} }).decision,
      'implicit-deny',
    );
  });

  test('a deny wins over any allow, and names itself', () => {
    const verdict = decide([allow(), deny({ Sid: 'NoSessions', Action: 'ssm:Start*' })]);
    assert.equal(verdict.decision, 'explicit-deny');
    assert.deepEqual(
      verdict.decidedBy.map(({ statement }) => statement.sid),
      ['NoSessions'],
    );
  });

  test('boundary and session policy must allow it too', () => {
    const open = policy(allow());
    const closed = policy(allow({ Action: 's3:*' }));
    const request = { action: 'ssm:StartSession', resource: DOCUMENT, context: {} };
    const judged = (policies: Parameters<typeof evaluateIam>[0]) => {
      const { decision, missing } = evaluateIam(policies, request);
      return [decision, ...missing];
    };
    assert.deepEqual(judged({ identity: [open], boundary: open, session: [open] }), ['allowed']);
    assert.deepEqual(judged({ identity: [open], boundary: closed }), ['implicit-deny', 'boundary']);
    assert.deepEqual(judged({ identity: [open], session: [closed] }), ['implicit-deny', 'session']);
    assert.deepEqual(judged({ identity: [open], session: [] }), ['implicit-deny', 'session']);
    assert.deepEqual(judged({ identity: [closed], boundary: open }), ['implicit-deny', 'identity']);
  });

  test('every statement says why it did not apply', () => {
    const { statements } = decide(
      [
        allow({ Action: 'ec2:*' }),
        allow({ Resource: `${ARN}:document/other` }),
        allow({ Condition: { StringEquals: { 'aws:username': 'alice' } } }),
        allow({ Condition: { Bool: { 'aws:MultiFactorAuthPresent': 'true' } } }),
      ],
      { context: { 'aws:username': 'bob' } },
    );
    assert.deepEqual(
      statements.map(({ reasons }) => reasons.join('; ')),
      [
        'Action ec2:* is not ssm:StartSession',
        `Resource ${ARN}:document/other does not cover ${DOCUMENT}`,
        'StringEquals aws:username failed: it is bob, wanted alice',
        'Bool aws:MultiFactorAuthPresent failed: the request has no aws:MultiFactorAuthPresent',
      ],
    );
    assert.deepEqual(
      statements.map(({ isNear }) => isNear),
      [false, false, true, true],
    );
  });
});

describe('what it does not know is never an allow', () => {
  for (const [what, statements, context] of [
    ['an operator that is not known', [allow({ Condition: { BinaryEquals: { 'a:b': 'QQ==' } } })], { 'a:b': 'QQ==' }],
    ['a deny with such an operator', [allow(), deny({ Condition: { Stringy: { 'a:b': 'x' } } })], { 'a:b': 'x' }],
    ['a number that is none', [allow({ Condition: { NumericLessThan: { 'a:b': 'ten' } } })], { 'a:b': '3' }],
    [
      'a date that is none',
      [allow({ Condition: { DateLessThan: { 'aws:CurrentTime': 'soon' } } })],
      { 'aws:CurrentTime': '2026-01-01' },
    ],
    [
      'a range that is none',
      [allow({ Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/40' } } })],
      { 'aws:SourceIp': '10.0.0.1' },
    ],
    [
      'a list without a set operator',
      [allow({ Condition: { StringEquals: { 'aws:TagKeys': 'a' } } })],
      { 'aws:TagKeys': ['a', 'b'] },
    ],
    [
      'a variable without a value, negated',
      [allow({ Condition: { StringNotEquals: { 'a:b': `\${aws:username}` } } })],
      { 'a:b': 'x' },
    ],
    [
      'such a variable in NotResource',
      [allow({ Resource: undefined, NotResource: `${ARN}:document/\${aws:username}*` })],
      {},
    ],
    [
      'ForAnyValue and IfExists without the key',
      [allow({ Condition: { 'ForAnyValue:StringLikeIfExists': { 'a:b': '*' } } })],
      {},
    ],
  ] as const) {
    test(what, () => assert.equal(decide(JSON.parse(JSON.stringify(statements)), { context }).decision, 'unknown'));
  }
});

describe('patterns', () => {
  const covers = (pattern: string, resource: string, context: IamRequest['context'] = {}) =>
    decide([allow({ Resource: pattern })], { resource, context }).decision === 'allowed';

  test('actions do not depend on case, resources do', () => {
    assert.equal(decide([allow({ Action: 'SSM:startSESSION' })]).decision, 'allowed');
    assert.equal(covers(DOCUMENT.toUpperCase().replace('ARN', 'arn'), DOCUMENT), false);
  });

  test('wildcards', () => {
    assert.ok(covers('arn:aws:ssm:*:*:document/cloudtun-*', DOCUMENT));
    assert.ok(covers('arn:aws:ssm:eu-west-?:111122223333:document/*', DOCUMENT));
    assert.ok(!covers('arn:aws:ssm:*-2:111122223333:document/*', DOCUMENT));
    assert.ok(!covers(`${ARN}:document/cloudtun-????`, `${ARN}:document/cloudtun-produce`));
    assert.ok(covers('arn:aws:ssm:*', DOCUMENT), 'a `*` at the end of a part runs on over colons');
    assert.ok(!covers('arn:aws:s*m:*1:document/cloudtun-prod', DOCUMENT), 'one inside a part does not');
  });

  test('the value of a variable is text', () => {
    const pattern = `${ARN}:session/\${aws:username}-*`;
    assert.ok(covers(pattern, `${ARN}:session/alice-1`, { 'aws:username': 'alice' }));
    assert.ok(!covers(pattern, `${ARN}:session/alice-1`, { 'aws:username': '*' }));
    assert.ok(!covers(pattern, `${ARN}:session/alice-1`));
    assert.ok(covers(`${ARN}:session/\${aws:username, 'alice'}-*`, `${ARN}:session/alice-1`));
  });

  test('documents of 2008 have no variables', () => {
    const found = readIamPolicy('old', { Statement: allow({ Resource: `${ARN}:session/\${aws:username}` }) });
    assert.ok(found.ok);
    const request = { action: 'a:b', resource: `${ARN}:session/alice`, context: { 'aws:username': 'alice' } };
    assert.equal(evaluateIam({ identity: [found.policy] }, request).decision, 'implicit-deny');
  });

  test('a hostile pattern does not backtrack: this one would not end', () => {
    const pattern = `${ARN}:document/${'*a'.repeat(300)}b`;
    assert.ok(!covers(pattern, `${ARN}:document/${'a'.repeat(2_000)}`));
  });
});

describe('conditions', () => {
  for (const [operator, key, values, context, expected] of [
    ['StringEquals', 'a:b', 'a*', { 'a:b': 'abc' }, 'implicit-deny'],
    ['StringLike', 'a:b', 'a*', { 'a:b': 'abc' }, 'allowed'],
    ['StringEquals', 'A:B', ['x', 'y'], { 'a:b': 'y' }, 'allowed'],
    ['StringNotEquals', 'a:b', ['x', 'y'], { 'a:b': 'y' }, 'implicit-deny'],
    ['StringNotEquals', 'a:b', 'x', {}, 'allowed'],
    ['StringEquals', 'a:b', 'x', {}, 'implicit-deny'],
    ['StringEqualsIfExists', 'a:b', 'x', {}, 'allowed'],
    ['StringEqualsIfExists', 'a:b', 'x', { 'a:b': 'y' }, 'implicit-deny'],
    ['StringEquals', 'a:b', `\${*}`, { 'a:b': '*' }, 'allowed'],
    ['BoolIfExists', 'a:b', 'true', { 'a:b': 'TRUE' }, 'allowed'],
    ['Null', 'a:b', 'true', {}, 'allowed'],
    ['Null', 'a:b', 'true', { 'a:b': [] }, 'allowed'],
    ['Null', 'a:b', 'false', {}, 'implicit-deny'],
    ['NumericLessThanEquals', 'a:b', '300', { 'a:b': '300' }, 'allowed'],
    [
      'DateLessThan',
      'aws:CurrentTime',
      '2027-03-31T22:00:00Z',
      { 'aws:CurrentTime': '2027-03-31T21:59:59Z' },
      'allowed',
    ],
    [
      'DateLessThan',
      'aws:CurrentTime',
      '2027-03-31T22:00:00Z',
      { 'aws:CurrentTime': '2027-03-31T22:00:00Z' },
      'implicit-deny',
    ],
    ['DateGreaterThan', 'aws:CurrentTime', '1790000000', { 'aws:CurrentTime': '2030-01-01T00:00:00Z' }, 'allowed'],
    ['DateEquals', 'aws:CurrentTime', '2026', { 'aws:CurrentTime': '2026-01-01T00:00:00Z' }, 'allowed'],
    ['IpAddress', 'aws:SourceIp', '2001:db8::/32', { 'aws:SourceIp': '2001:db8:1::9' }, 'allowed'],
    ['IpAddress', 'aws:SourceIp', '10.0.0.0/8', { 'aws:SourceIp': '2001:db8::1' }, 'implicit-deny'],
    ['NotIpAddress', 'aws:SourceIp', '10.0.0.0/8', { 'aws:SourceIp': '2001:db8::1' }, 'allowed'],
    ['IpAddress', 'aws:SourceIp', '::/0', { 'aws:SourceIp': '10.0.0.1' }, 'implicit-deny'],
    [
      'ArnLike',
      'aws:PrincipalArn',
      'arn:aws:iam::*:role/a*',
      { 'aws:PrincipalArn': 'arn:aws:iam::1:role/x/y' },
      'implicit-deny',
    ],
    [
      'ArnEquals',
      'aws:PrincipalArn',
      'arn:aws:iam::*:role/x*',
      { 'aws:PrincipalArn': 'arn:aws:iam::1:role/x/y' },
      'allowed',
    ],
    ['ForAllValues:StringEquals', 'aws:TagKeys', ['a', 'b'], { 'aws:TagKeys': ['a', 'c'] }, 'implicit-deny'],
    ['ForAllValues:StringEquals', 'aws:TagKeys', ['a', 'b'], {}, 'allowed'],
    ['ForAnyValue:StringEquals', 'aws:TagKeys', ['a'], { 'aws:TagKeys': ['c', 'a'] }, 'allowed'],
    ['ForAnyValue:StringEquals', 'aws:TagKeys', ['a'], {}, 'implicit-deny'],
    ['ForAnyValue:StringNotEquals', 'aws:TagKeys', ['a'], { 'aws:TagKeys': ['a', 'b'] }, 'allowed'],
    [
      'StringEquals',
      'aws:ResourceTag/team',
      `\${aws:PrincipalTag/team}`,
      { 'aws:ResourceTag/team': 'x', 'aws:PrincipalTag/team': 'x' },
      'allowed',
    ],
    [
      'StringEquals',
      'aws:ResourceTag/team',
      `\${aws:PrincipalTag/team}`,
      { 'aws:ResourceTag/team': 'x' },
      'implicit-deny',
    ],
  ] as const) {
    test(`${operator} ${key} ${JSON.stringify(values)} of ${JSON.stringify(context)}`, () => {
      assert.equal(when(operator, key, values, context), expected);
    });
  }
});

describe('reading documents', () => {
  for (const [document, problem] of [
    ['{', 'the document is not JSON'],
    [[], 'the document must be an object'],
    [{ Version: '2013-01-01', Statement: [allow()] }, 'there is no policy version "2013-01-01"'],
    [{ Version: '2012-10-17' }, 'the document has no Statement'],
    [{ Version: '2012-10-17', Statement: [] }, 'the document has no Statement'],
    [{ Statement: allow({ Effect: 'allow' }) }, 'Effect of statement 1 must be Allow or Deny'],
    [{ Statement: allow({ Principal: '*' }) }, 'statement 1 has a member Principal, which no policy of a person has'],
    [{ Statement: allow({ NotAction: 'a:b' }) }, 'statement 1 needs one of Action and NotAction'],
    [{ Statement: { Effect: 'Allow', Action: 'a:b' } }, 'statement 1 needs one of Resource and NotResource'],
    [{ Statement: allow({ Action: 'StartSession' }) }, 'Action of statement 1 has "StartSession", which cannot be one'],
    [{ Statement: allow({ Resource: 'document/x' }) }, 'Resource of statement 1 has "document/x", which cannot be one'],
    [{ Statement: [allow({ Sid: 'A' }), allow({ Sid: 'A' })] }, 'two statements have the Sid A'],
    [{ Statement: allow({ Sid: 'a-b' }) }, 'the Sid of statement a-b has other signs than letters and digits'],
    [
      { Statement: allow({ Condition: { Bool: { 'a:b': {} } } }) },
      'Bool a:b of statement 1 must be text or a list of texts',
    ],
  ] as const) {
    test(problem, () => assert.deepEqual(readIamPolicy('x', document), { ok: false, problem }));
  }
});

describe('calls with several resources', () => {
  const instance = 'arn:aws:ec2:eu-west-1:111122223333:instance/i-1';
  const shell = `${ARN}:document/SSM-SessionManagerRunShell`;
  const start = (statements: readonly object[], members: object = {}) =>
    evaluateSessionStart(
      { identity: [policy(...statements)] },
      { target: { arn: instance }, shellDocument: { arn: shell }, context: {}, documentCheck: 'always', ...members },
    );
  const both = allow({ Action: 'ssm:StartSession', Resource: [instance, DOCUMENT] });
  const checked = { ...both, Condition: { BoolIfExists: { 'ssm:SessionDocumentAccessCheck': 'true' } } };

  test('target and document are judged each, and two grants combine', () => {
    assert.equal(start([both], { document: { arn: DOCUMENT } }).decision, 'allowed');
    const other = start([both], { document: { arn: shell } });
    assert.deepEqual([other.decision, other.refused?.resource], ['implicit-deny', shell]);
    const trap = [allow({ Resource: instance }), allow({ Resource: shell })];
    assert.equal(start(trap, { document: { arn: shell } }).decision, 'allowed');
  });

  test('without a document name the shell is judged, or nothing is, by how old the guide is', () => {
    assert.equal(start([both]).decision, 'implicit-deny');
    assert.equal(start([both], { documentCheck: 'when-asked' }).decision, 'allowed');
    assert.equal(start([checked], { documentCheck: 'when-asked' }).decision, 'implicit-deny');
    assert.equal(
      start([checked, both], { documentCheck: 'when-asked' }).decision,
      'allowed',
      'one statement is enough',
    );
  });

  test('a resource brings its tags; an action without resources is asked for as *', () => {
    const tagged = allow({ Condition: { StringEquals: { 'ssm:resourceTag/role': 'bastion' } } });
    const call = { action: 'ssm:StartSession', context: {} };
    const policies = { identity: [policy(tagged)] };
    const of = (role: string) => [{ arn: instance, context: { 'ssm:resourceTag/role': role } }];
    assert.equal(evaluateCall(policies, { ...call, resources: of('bastion') }).decision, 'allowed');
    assert.equal(evaluateCall(policies, { ...call, resources: of('web') }).decision, 'implicit-deny');
    const listing = { action: 'ssm:DescribeSessions', resources: [], context: {} };
    assert.equal(evaluateCall({ identity: [policy(allow())] }, listing).decision, 'allowed');
    assert.equal(
      evaluateCall({ identity: [policy(allow({ Resource: `${ARN}:*` }))] }, listing).decision,
      'implicit-deny',
    );
  });
});
