import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { committedFiles, exampleFiles, readmeCatalogue } from '../../../scripts/team-example.ts';
import { checkFiles } from '../../../src/config/check-files.ts';
import { checkTeams } from '../../../src/onboarding/check.ts';
import { readIamPolicy } from '../../../src/onboarding/core/iam-policy.ts';
import { draftTeams } from '../../../src/onboarding/team-plan.ts';
import type { ExportFile } from '../../../src/providers/policy-author.ts';
import { PROVIDERS } from '../../../src/providers/registry.ts';
import { type HclExpression, type HclRead, readHcl } from '../../support/hcl-structure.ts';

const keysOf = (cloud: 'aws' | 'gcp') => PROVIDERS[cloud].policy?.keys;
const drafterOf = async (cloud: 'aws' | 'gcp') => PROVIDERS[cloud].policy!.drafter();

suite('the example of README.md', () => {
  test('docs/examples/team is what comes of it (mend: node scripts/team-example.ts)', async () => {
    const [made, committed] = [await exampleFiles(), committedFiles()];
    assert.deepEqual([...committed.keys()].sort(), [...made.keys()].sort());
    for (const [path, text] of made) assert.equal(committed.get(path), text, path);
  });

  test('it gives what it lists, and nothing else', async () => {
    const { catalogue } = readmeCatalogue();
    const drafted = await draftTeams({ catalogue, said: {} }, keysOf, drafterOf);
    const { access, findings } = await checkTeams({ catalogue, drafted, at: Date.parse('2027-01-15') });
    const open = access.filter(({ decision }) => decision === 'allowed');
    assert.deepEqual(
      open.map(({ person, attempt }) => `${person.name} ${attempt.id}`),
      ['alice@example.com connect prod', 'alice@example.com logs app'],
    );
    assert.deepEqual(
      findings.filter(({ level }) => level === 'finding'),
      [],
    );
  });
});

/** Every text of an expression. */
function textsOf(expression: HclExpression): readonly string[] {
  if ('text' in expression) return [expression.text];
  if ('list' in expression) return expression.list.flatMap(textsOf);
  return 'object' in expression ? Object.values(expression.object).flatMap(textsOf) : [];
}

function referencesOf(expression: HclExpression): readonly string[] {
  if ('reference' in expression) return [expression.reference];
  if ('list' in expression) return expression.list.flatMap(referencesOf);
  return 'object' in expression ? Object.values(expression.object).flatMap(referencesOf) : [];
}

const everyExpression = (block: HclRead): readonly HclExpression[] => [
  ...Object.values(block.attributes),
  ...block.blocks.flatMap(everyExpression),
];

/** What Terraform would refuse before it asks anybody. */
function checkTerraform(files: readonly ExportFile[]): readonly HclRead[] {
  const blocks = files.filter(({ path }) => path.endsWith('.tf')).flatMap(({ text }) => readHcl(text));
  const addresses = blocks.flatMap(({ kind, labels }) => {
    if (kind === 'data') return [`data.${labels.join('.')}`];
    return kind === 'resource' ? [labels.join('.')] : [];
  });
  assert.deepEqual(addresses, [...new Set(addresses)], 'no resource is there twice');
  const aliases = blocks
    .filter(({ kind, attributes }) => kind === 'provider' && attributes.alias !== undefined)
    .map(({ labels, attributes }) => `${labels[0]}.${textsOf(attributes.alias!)[0]}`);
  for (const block of blocks) {
    for (const label of block.labels) assert.match(label, /^[A-Za-z_][A-Za-z0-9_-]*$/);
    for (const reference of everyExpression(block).flatMap(referencesOf)) {
      const known = [...addresses, ...aliases, 'local', 'var'].some(
        (one) => reference === one || reference.startsWith(`${one}.`),
      );
      assert.ok(known, `${reference} is declared nowhere`);
    }
  }
  return blocks;
}

async function terraformOf(text: string): Promise<readonly HclRead[]> {
  const { catalogue, problems } = checkFiles([{ path: 'c', label: 'c', text }]);
  assert.ok(catalogue, JSON.stringify(problems));
  const { parts } = await draftTeams({ catalogue, said: {} }, keysOf, drafterOf);
  return parts.flatMap(({ drafter, draft }) => checkTerraform(drafter.files(draft, 'terraform')));
}

suite('what is exported as Terraform', () => {
  test('the example is HCL, its references lead somewhere, its policies are policies', async () => {
    const blocks = await terraformOf(readmeCatalogue().text);
    const kinds = blocks.filter(({ kind }) => kind === 'resource').map(({ labels }) => labels[0]);
    for (const kind of ['aws_ssm_document', 'aws_iam_policy', 'google_iap_tunnel_instance_iam_member'])
      assert.ok(kinds.includes(kind), kind);
    const policies = blocks.filter(({ labels }) => labels[0] === 'aws_iam_policy');
    for (const { attributes } of policies) {
      const [text = ''] = textsOf(attributes.policy!);
      const read = readIamPolicy('exported', text);
      assert.ok(read.ok, read.ok ? '' : read.problem);
      // Variables of IAM are text to Terraform, and come out as they went in.
      assert.ok(text.includes(`\${aws:userid}`));
    }
  });

  test('names that would leave their quotes do not', async () => {
    const hostile = `x" \${file("/etc/passwd")} %{ if true } \\ EOT`;
    const blocks = await terraformOf(
      `version: 1
targets:
  b: { aws: { instance: i-0b, region: eu-west-1 }, user: ${JSON.stringify(hostile)} }
  w: { gcp: { instance: web-1, project: acme, zone: z-a } }
teams:
  r: { aws: { role: r, user: u }, gcp: { group: ${JSON.stringify(hostile)} }, members: [${JSON.stringify(hostile)}], may: { ssh: [w, b] } }
`,
    );
    const texts = blocks.flatMap(everyExpression).flatMap(textsOf);
    assert.ok(
      texts.some((text) => text.includes(`group:${hostile}`)),
      'it is there, as text',
    );
    const policies = texts.filter((text) => text.includes('SendSSHPublicKey'));
    // A dollar is a variable to IAM as well, and is written as one there.
    assert.ok(policies.some((text) => readIamPolicy('exported', text).ok && text.includes('/etc/passwd')));
  });

  test('the reader finds what it is for', () => {
    for (const wrong of [
      'a "b" {',
      'a = "x\n"',
      `a = "\${b}"`,
      'a = [1',
      'a "b" {}\n}',
      'a = 1\na = 2\n',
      'a = <<-EOT\nx\n',
      'a = "\\q"\n',
    ])
      assert.throws(() => readHcl(wrong), Error, wrong);
    assert.deepEqual(readHcl('a "b" {\n  c = "$${x}"\n}\n')[0]?.attributes, {
      c: { text: `\${x}` },
    });
  });
});
