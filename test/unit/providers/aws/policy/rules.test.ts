/** The rules for permissions of Session Manager, by their numbers (docs/security/iam.md), on what is drafted without asking anybody. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { CloudtunError } from '../../../../../src/domain/errors.ts';
import { readIamPolicy } from '../../../../../src/onboarding/core/iam-policy.ts';
import { catalogueGrants } from '../../../../../src/onboarding/grants.ts';
import { awsPolicyDrafter } from '../../../../../src/providers/aws/policy/drafter.ts';
import { type AwsFacts, assumedFacts } from '../../../../../src/providers/aws/policy/facts.ts';
import { POLICY_LIMIT, policySize } from '../../../../../src/providers/aws/policy/policies.ts';
import type { Statement } from '../../../../../src/providers/aws/policy/statements.ts';
import type { PolicyDraft } from '../../../../../src/providers/policy-author.ts';
import { catalogueOf } from '../../../../support/team-lab.ts';

const TARGETS = `version: 1
targets:
  bastion: { aws: { instance: "tag:role=bastion" } }
  box: { aws: { instance: i-0box }, user: deploy, hostPort: 8080 }
  hybrid: { aws: { instance: mi-0hybrid }, user: pi }
  prod: { rds: orders-prod, via: bastion, user: app_reader, iamAuth: true }
  stock: { rds: stock, via: box, secret: { secretsManager: stock/login } }
  admin: { host: admin.internal, hostPort: 80, via: bastion }
`;
const LOGS = `logs:
  app: { target: box, file: "/var/log/app log/app.log" }
  unit: { target: box, unit: app.service }
  crate: { target: box, container: app }
`;

interface Options {
  readonly targets?: string;
  readonly logs?: string;
  readonly facts?: Partial<AwsFacts>;
}

function draftOf(
  teams: string,
  { targets = TARGETS, logs = targets.includes('  box:') ? LOGS : '', facts = {} }: Options = {},
): PolicyDraft {
  const { grants } = catalogueGrants(catalogueOf(`${targets}${logs}teams: { ${teams} }\n`));
  return awsPolicyDrafter.draft(grants, { ...assumedFacts(grants), ...facts }, 'default');
}

const ALL =
  'readers: { aws: { role: readers, user: alice }, may: { connect: [prod, stock, admin, box], ssh: [box, hybrid], socks: [bastion], run: [box], logs: [app, unit, crate] }, until: 2027-03-31 }';
const TUNNELS = 'readers: { aws: { role: readers }, may: { connect: [prod] }, until: 2027-03-31 }';

const list = (value: string | readonly string[]) => (typeof value === 'string' ? [value] : value);

function statementsOf(draft: PolicyDraft): readonly Statement[] {
  return draft.resources.flatMap(({ kind, content }) =>
    kind === 'policy' ? (content as unknown as { policy: { Statement: Statement[] } }).policy.Statement : [],
  );
}

const allows = (draft: PolicyDraft, action: string) =>
  statementsOf(draft).filter(({ Effect, Action }) => Effect === 'Allow' && list(Action).includes(action));
const denies = (draft: PolicyDraft, action: string) =>
  statementsOf(draft).filter(({ Effect, Action }) => Effect === 'Deny' && list(Action).includes(action));

interface Document {
  readonly sessionType: string;
  readonly parameters: Readonly<Record<string, { readonly allowedPattern?: string; readonly default?: string }>>;
  readonly properties: Readonly<Record<string, string>> & { readonly linux?: { readonly commands: string } };
}

function documentOf(draft: PolicyDraft, name: string): Document {
  const found = draft.resources.find((each) => each.kind === 'document' && each.name === name);
  assert.ok(found, `there is no ${name}`);
  return (found.content as unknown as { document: Document }).document;
}

const notices = (draft: PolicyDraft, code: string) =>
  draft.notices.filter((each) => each.code === code).map(({ level, text }) => `${level}: ${text}`);

function failure(run: () => unknown): CloudtunError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof CloudtunError);
    return error;
  }
  assert.fail('nothing was thrown');
}

suite('rule 1: never a machine without the document check', () => {
  test('every allowance of StartSession has it, and names documents', () => {
    const starts = allows(draftOf(ALL), 'ssm:StartSession');
    assert.equal(starts.length, 4);
    for (const { Sid, Condition, Resource } of starts) {
      assert.deepEqual(Condition?.BoolIfExists, { 'ssm:SessionDocumentAccessCheck': 'true' }, Sid);
      assert.ok(!list(Resource).includes('*'), Sid);
    }
  });
});

suite('rule 2: machine and document in one statement', () => {
  test('of a machine by its id; of one by its tag they stand apart, because the tag is the machine alone', () => {
    const [one] = allows(draftOf('r: { aws: { role: r }, may: { connect: [stock] } }'), 'ssm:StartSession');
    assert.deepEqual(one?.Resource, [
      'arn:aws:ec2:us-east-1:000000000000:instance/i-0box',
      'arn:aws:ssm:us-east-1:000000000000:document/cloudtun-stock',
    ]);
    const [tagged, documents] = allows(draftOf(TUNNELS), 'ssm:StartSession');
    assert.equal(tagged?.Resource, 'arn:aws:ec2:us-east-1:000000000000:instance/*');
    assert.deepEqual(documents?.Resource, ['arn:aws:ssm:us-east-1:000000000000:document/cloudtun-prod']);
    assert.equal(documents?.Condition?.StringEquals, undefined);
  });

  test('what combines all the same is said', () => {
    assert.equal(notices(draftOf(ALL), 'union').length > 0, true);
    assert.deepEqual(notices(draftOf(TUNNELS), 'union'), []);
  });
});

suite('rule 3: what would go around is denied', () => {
  const PACK = [
    'ssm:SendCommand',
    'ssm:CreateDocument',
    'ssm:UpdateDocument',
    'ssm:UpdateDocumentDefaultVersion',
    'ssm:DeleteDocument',
    'ssm:ModifyDocumentPermission',
    'ssm:AddTagsToResource',
    'ssm:RemoveTagsFromResource',
  ];

  test('the shell, every open document of AWS, commands, edits, and for who has tunnels alone every login', () => {
    const draft = draftOf(TUNNELS);
    const [other] = denies(draft, 'ssm:StartSession');
    assert.deepEqual(
      list(other?.Resource ?? [])
        .map((arn) => arn.replace(/^.*\//, ''))
        .sort(),
      [
        'AWS-StartInteractiveCommand',
        'AWS-StartNonInteractiveCommand',
        'AWS-StartPortForwardingSession',
        'AWS-StartPortForwardingSessionToRemoteHost',
        'AWS-StartPortForwardingSessionToSocket',
        'AWS-StartSSHSession',
        'SSM-SessionManagerRunShell',
      ],
    );
    for (const action of [...PACK, 'ec2-instance-connect:*']) {
      const [denial] = denies(draft, action);
      assert.deepEqual([denial?.Resource, denial?.Condition], ['*', undefined], action);
    }
  });

  test('a denial has no end, and does not take what the team is given', () => {
    const draft = draftOf(ALL);
    assert.deepEqual(denies(draft, 'ec2-instance-connect:*'), []);
    assert.equal(denies(draft, 'ec2-instance-connect:OpenTunnel').length, 1);
    for (const { Sid, Effect, Condition } of statementsOf(draft)) {
      assert.equal(
        Condition?.DateLessThan?.['aws:CurrentTime'],
        Effect === 'Allow' ? '2027-04-01T00:00:00Z' : undefined,
        Sid,
      );
    }
  });
});

suite('rule 4: machines by a tag', () => {
  test('the tag is asked for, and may not be set, in any spelling', () => {
    const draft = draftOf(TUNNELS);
    const [tagged] = allows(draft, 'ssm:StartSession');
    assert.deepEqual(tagged?.Condition?.StringEquals, { 'ssm:resourceTag/role': 'bastion' });
    for (const action of ['ec2:CreateTags', 'ec2:DeleteTags']) {
      const [denial] = denies(draft, action);
      assert.deepEqual(denial?.Condition, { 'ForAnyValue:StringEqualsIgnoreCase': { 'aws:TagKeys': ['role'] } });
    }
    assert.deepEqual(notices(draft, 'self-service-tag').length, 1);
  });

  test('a machine by its id needs none of it; a group of EC2 Auto Scaling has its own tag', () => {
    assert.deepEqual(denies(draftOf('r: { aws: { role: r }, may: { connect: [stock] } }'), 'ec2:CreateTags'), []);
    const targets = TARGETS.replace('tag:role=bastion', 'asg:bastions');
    const [tagged] = allows(draftOf(TUNNELS, { targets }), 'ssm:StartSession');
    assert.deepEqual(tagged?.Condition?.StringEquals, { 'ssm:resourceTag/aws:autoscaling:groupName': 'bastions' });
  });
});

suite('rule 5: teams by their own tag (ABAC) are not drafted', () => {
  test('no statement leans on a tag of the principal, which somebody else may set', () => {
    assert.doesNotMatch(JSON.stringify(statementsOf(draftOf(ALL))), /PrincipalTag/);
  });
});

suite('rule 6 and 8: what a policy cannot do is written down where it is signed', () => {
  test('the network, and what the record of sessions holds', () => {
    const [readme] = awsPolicyDrafter.files(draftOf(ALL), 'json');
    assert.match(readme?.text ?? '', /security group of a database should admit its bastion and nothing else/);
    assert.match(readme?.text ?? '', /the record of sessions is who, when and where, not what/);
  });
});

suite('rule 7: what nobody will get to is said before', () => {
  const told = (host: string, code: string) =>
    notices(
      draftOf('r: { aws: { role: r }, may: { connect: [far] } }', {
        targets: `version: 1\ntargets:\n  bastion: { aws: { instance: i-0b } }\n  far: { host: "${host}", hostPort: 80, via: bastion }\n`,
      }),
      code,
    );
  for (const host of [
    '169.254.169.254',
    '169.254.169.253',
    '169.254.169.123',
    'fd00:ec2::254',
    'localhost',
    '127.0.0.1',
    '::1',
  ]) {
    test(`the agent refuses ${host}`, () => {
      assert.deepEqual(told(host, 'agent-refuses'), [
        `warning: the agent does not forward to ${host}: nobody will get there`,
      ]);
    });
  }
  for (const host of ['db.invalid', 'db.example', 'nas.local', `${'a'.repeat(64)}.internal`]) {
    test(`no name service knows ${host.slice(0, 20)}`, () => {
      assert.deepEqual(told(host, 'unresolvable'), [`warning: no name service of a network knows ${host}`]);
    });
  }
  test('and nothing of what is there', () => {
    for (const host of ['db.internal', '10.1.2.3', 'a.b.c.internal'])
      assert.deepEqual(
        [...told(host, 'agent-refuses'), ...told(host, 'unresolvable'), ...told(host, 'short-name')],
        [],
      );
    assert.equal(told('db', 'short-name').length, 1);
  });
  test('and what is behind several machines: logins on the way have no document of their own', () => {
    const targets = `version: 1\ntargets:\n  bastion: { aws: { instance: i-0b } }\n  far: { host: far, hostPort: 80, via: [bastion, middle] }\n`;
    const [first] = notices(
      draftOf('r: { aws: { role: r }, may: { connect: [far] } }', { targets }),
      'login-on-the-way',
    );
    assert.match(first ?? '', /^loud: far is behind middle: .* nobody gets there with this grant/);
  });
  test('what is no host is no document', () => {
    assert.equal(failure(() => told('{{ host }}', 'x')).code, 'CT_CONFIG');
  });
});

suite('rule 9: containers of ECS', () => {
  test('are no targets yet: nothing is given for one half of what they take', () => {
    const targets = TARGETS.replace('i-0box', 'ecs:shop/web');
    const starts = allows(
      draftOf('r: { aws: { role: r }, may: { connect: [stock] } }', { targets }),
      'ssm:StartSession',
    );
    assert.doesNotMatch(JSON.stringify(starts), /:ecs:|:task\//);
  });
});

suite('documents', () => {
  test('host and port are fixed, and nothing but the local port is open', () => {
    const { sessionType, parameters, properties } = documentOf(draftOf(TUNNELS), 'cloudtun-prod');
    assert.equal(sessionType, 'Port');
    assert.deepEqual(Object.keys(parameters), ['localPortNumber']);
    assert.deepEqual(properties, {
      type: 'LocalPortForwarding',
      host: 'orders-prod.us-east-1.rds.amazonaws.com',
      portNumber: '3306',
      localPortNumber: '{{ localPortNumber }}',
    });
  });

  test('a port of the machine has no host; a login goes to its sshd, whatever else it listens on', () => {
    const draft = draftOf(ALL);
    assert.deepEqual(documentOf(draft, 'cloudtun-box').properties.host, undefined);
    assert.equal(documentOf(draft, 'cloudtun-box').properties.portNumber, '8080');
    assert.equal(documentOf(draft, 'cloudtun-box-ssh').properties.portNumber, '22');
  });

  test('every pattern is anchored, and every default fits it', () => {
    const draft = draftOf(ALL, { logs: LOGS });
    for (const { name } of draft.resources.filter(({ kind }) => kind === 'document')) {
      for (const [parameter, { allowedPattern, default: fallback }] of Object.entries(
        documentOf(draft, name).parameters,
      )) {
        if (parameter === 'command') continue;
        assert.match(allowedPattern ?? '', /^\^.*\$$/, `${name} ${parameter}`);
        if (fallback !== undefined) assert.match(fallback, new RegExp(allowedPattern!), `${name} ${parameter}`);
      }
    }
  });

  test('socks and run are said loudly', () => {
    const draft = draftOf(ALL, { logs: LOGS });
    assert.deepEqual(notices(draft, 'open-host-document'), [
      'loud: socks bastion opens every host and port that tag:role=bastion reaches, not one',
    ]);
    assert.deepEqual(notices(draft, 'shell'), ['loud: run box is a shell on i-0box: any command, as ssm-user']);
  });

  test('names are written into tags as these take them', () => {
    const targets = TARGETS.replace('  prod:', '  "prod (eu), main":');
    const draft = draftOf('"a, b": { aws: { role: r }, may: { connect: ["prod (eu), main"] } }', { targets });
    const tags = draft.resources.map(({ content }) => (content as { tags?: Record<string, string> }).tags);
    assert.deepEqual(tags[0], { 'cloudtun:catalogue': 'default', 'cloudtun:target': 'connect prod _eu__ main' });
    assert.deepEqual(tags[1], { 'cloudtun:catalogue': 'default', 'cloudtun:team': 'a_ b' });
  });

  test('two names that would have one document are an error', () => {
    const targets = `${TARGETS}  app-logs: { host: a.internal, hostPort: 80, via: bastion }\n`;
    const error = failure(() =>
      draftOf('r: { aws: { role: r }, may: { connect: [app-logs], logs: [app] } }', { targets, logs: LOGS }),
    );
    assert.deepEqual(
      [error.code, error.message],
      ['CT_CONFIG', '"connect app-logs" and "logs app" would both have the document cloudtun-app-logs'],
    );
  });
});

suite('statements', () => {
  test('every policy is one that IAM takes', () => {
    for (const { kind, name, content } of draftOf(ALL, { logs: LOGS }).resources) {
      if (kind !== 'policy') continue;
      const found = readIamPolicy(name, (content as { policy: unknown }).policy);
      assert.ok(found.ok, found.ok ? '' : found.problem);
    }
  });

  test('one user of the machine, one of the database, one secret', () => {
    const draft = draftOf(ALL);
    const logins = allows(draft, 'ec2-instance-connect:SendSSHPublicKey');
    assert.deepEqual(
      logins.map(({ Resource, Condition }) => [Resource, Condition?.StringEquals]),
      [['arn:aws:ec2:us-east-1:000000000000:instance/i-0box', { 'ec2:osuser': 'deploy' }]],
      'of a machine outside EC2 none: people have keys of their own there',
    );
    assert.deepEqual(allows(draft, 'rds-db:connect')[0]?.Resource, [
      'arn:aws:rds-db:us-east-1:000000000000:dbuser:db-of-orders-prod/app_reader',
    ]);
    assert.deepEqual(allows(draft, 'secretsmanager:GetSecretValue')[0]?.Resource, [
      'arn:aws:secretsmanager:us-east-1:000000000000:secret:stock/login-??????',
    ]);
  });

  test('a name is a text and no pattern', () => {
    const targets = TARGETS.replace('app_reader', '"*"').replace('deploy', `"\${aws:username}"`);
    const draft = draftOf(ALL, { targets });
    assert.deepEqual(allows(draft, 'rds-db:connect')[0]?.Resource, [
      `arn:aws:rds-db:us-east-1:000000000000:dbuser:db-of-orders-prod/\${*}`,
    ]);
    assert.deepEqual(allows(draft, 'ec2-instance-connect:SendSSHPublicKey')[0]?.Condition?.StringEquals, {
      'ec2:osuser': `\${$}{aws:username}`,
    });
  });

  test('the key of encrypted sessions goes with what runs, by id, ARN or alias', () => {
    const keyOf = (key: string) => {
      const [statement] = allows(draftOf(ALL, { facts: { sessionKeys: { 'us-east-1': key } } }), 'kms:GenerateDataKey');
      return [statement?.Resource, statement?.Condition?.['ForAnyValue:StringEquals']];
    };
    const place = 'arn:aws:kms:us-east-1:000000000000';
    assert.deepEqual(keyOf('0a1b'), [`${place}:key/0a1b`, undefined]);
    assert.deepEqual(keyOf(`${place}:key/0a1b`), [`${place}:key/0a1b`, undefined]);
    const alias = [`${place}:key/*`, { 'kms:ResourceAliases': 'alias/sessions' }];
    assert.deepEqual(keyOf('alias/sessions'), alias);
    assert.deepEqual(keyOf(`${place}:alias/sessions`), alias);
    const tunnels = draftOf(TUNNELS, { facts: { sessionKeys: { 'us-east-1': '0a1b' } } });
    assert.deepEqual(allows(tunnels, 'kms:GenerateDataKey'), [], 'ports are not encrypted with it');
  });

  test('several regions of an account are one policy, with documents where their machines are', () => {
    const targets = `version: 1
targets:
  here: { aws: { instance: i-0here, region: eu-west-1 } }
  there: { aws: { instance: i-0there, region: eu-west-2 } }
  one: { host: a.internal, hostPort: 80, via: here }
  two: { host: a.internal, hostPort: 80, via: there }
`;
    const draft = draftOf('r: { aws: { role: r }, may: { connect: [one, two] } }', { targets });
    assert.deepEqual(
      draft.resources.map(({ id }) => id),
      [
        '000000000000/eu-west-1/document/cloudtun-one',
        '000000000000/eu-west-2/document/cloudtun-two',
        '000000000000/policy/cloudtun-r',
        '000000000000/role/r/cloudtun-r',
      ],
    );
    assert.equal(allows(draft, 'ssm:StartSession').length, 2);
    assert.equal(list(allows(draft, 'ssm:TerminateSession')[0]?.Resource ?? []).length, 2);
  });
});

suite('sizes', () => {
  const many = (count: number) => {
    const names = Array.from({ length: count }, (_, index) => `service-number-${index}`);
    const targets = `version: 1\ntargets:\n  bastion: { aws: { instance: i-0b } }\n${names.map((name) => `  ${name}: { host: ${name}.internal, hostPort: 80, via: bastion }\n`).join('')}`;
    return draftOf(`readers: { aws: { role: readers }, may: { connect: [${names.join(', ')}] } }`, { targets });
  };

  test('what does not fit is split, the same way each time, and every part fits', () => {
    const draft = many(100);
    const policies = draft.resources.filter(({ kind }) => kind === 'policy');
    assert.deepEqual(
      policies.map(({ name }) => name),
      ['cloudtun-readers', 'cloudtun-readers-2', 'cloudtun-readers-3', 'cloudtun-readers-4'],
    );
    for (const { name, content } of policies) {
      const { Statement: statements } = (content as unknown as { policy: { Statement: Statement[] } }).policy;
      assert.ok(policySize(statements) <= POLICY_LIMIT, name);
      assert.equal(new Set(statements.map(({ Sid }) => Sid)).size, statements.length, 'Sids are unique');
    }
    assert.deepEqual(many(100), draft);
    const given = allows(draft, 'ssm:StartSession').flatMap(({ Resource }) =>
      list(Resource).filter((arn) => arn.includes(':document/')),
    );
    assert.equal(new Set(given).size, 100);
  });

  test('more policies than a principal may have are an error, and so are two teams of one policy', () => {
    const error = failure(() => many(400));
    assert.equal(error.code, 'CT_POLICY_REFUSED');
    assert.match(error.message, /^role readers would have \d+ policies; 10 may be attached$/);
    const clash = failure(() =>
      draftOf(
        '"a b": { aws: { role: r }, may: { connect: [prod] } }, a-b: { aws: { role: s }, may: { connect: [prod] } }',
      ),
    );
    assert.deepEqual(
      [clash.code, clash.message],
      ['CT_CONFIG', 'the teams "a b" and "a-b" would both have the policy cloudtun-a-b'],
    );
  });
});
