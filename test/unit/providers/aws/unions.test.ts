import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { checkFiles } from '../../../../src/config/check-files.ts';
import { catalogueGrants } from '../../../../src/onboarding/grants.ts';
import { assumedFacts } from '../../../../src/providers/aws/policy/facts.ts';
import { unionNotices } from '../../../../src/providers/aws/policy/unions.ts';

function unions(teams: string): readonly string[] {
  const text = `version: 1
targets:
  bastion: { aws: { instance: i-0bastion } }
  web: { aws: { instance: i-0web }, hostPort: 22 }
  far: { aws: { instance: i-0far, region: eu-west-2 } }
  prod: { rds: orders-prod, via: bastion }
  stock: { rds: stock, via: web }
logs: { app: { target: web, file: /var/log/app.log } }
teams: { ${teams} }
`;
  const { catalogue, problems } = checkFiles([{ path: 'cloudtun.yaml', label: 'cloudtun.yaml', text }]);
  assert.ok(catalogue, JSON.stringify(problems));
  const { grants } = catalogueGrants(catalogue);
  return unionNotices(grants, assumedFacts(grants)).map(
    ({ level, subject, text: words }) => `${level} ${subject}: ${words}`,
  );
}

suite('rule 2: what the grants of one principal combine to', () => {
  test('documents with a host lead to the same place from everywhere', () => {
    assert.deepEqual(unions('r: { aws: { role: r }, may: { connect: [prod, stock] } }'), []);
  });

  test('a document for a machine itself may be started on the others', () => {
    assert.deepEqual(unions('r: { aws: { role: r }, may: { connect: [prod], run: [web], logs: [app] } }'), [
      'loud web: document cloudtun-web-run may be started on i-0bastion too, and runs any command there: what r may combines',
      'warning app: document cloudtun-app-logs may be started on i-0bastion too, and reads the same file there: what r may combines',
    ]);
  });

  test('what is listed there anyway is none of it', () => {
    assert.deepEqual(unions('r: { aws: { role: r }, may: { ssh: [bastion], connect: [web] } }'), []);
    assert.deepEqual(unions('r: { aws: { role: r }, may: { run: [web, bastion], logs: [app] } }'), []);
    assert.deepEqual(unions('r: { aws: { role: r }, may: { ssh: [web], socks: [bastion, web] } }'), []);
  });

  test('two teams that are one principal combine; two principals do not, nor do two regions', () => {
    assert.deepEqual(
      unions('a: { aws: { role: r }, may: { connect: [prod] } }, b: { aws: { role: r }, may: { ssh: [web] } }'),
      [
        'warning web: document cloudtun-web-ssh may be started on i-0bastion too, and opens the sshd (no key is let in) there: what a and b may combines',
      ],
    );
    assert.deepEqual(
      unions('a: { aws: { role: a }, may: { connect: [prod] } }, b: { aws: { role: b }, may: { ssh: [web] } }'),
      [],
    );
    assert.deepEqual(unions('a: { aws: { role: a }, may: { run: [web, far] } }'), []);
  });
});
