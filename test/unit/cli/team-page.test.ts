import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { code, mermaidLabel } from '../../../src/cli/present/markdown.ts';
import { PAGE_MARK, teamPage } from '../../../src/cli/present/team-page.ts';
import type { Catalogue } from '../../../src/config/catalogue.ts';
import { checkFiles } from '../../../src/config/check-files.ts';

function catalogueOf(text: string): Catalogue {
  const { catalogue, problems } = checkFiles([{ path: 'c', label: 'c', text }]);
  assert.ok(catalogue, JSON.stringify(problems));
  return catalogue;
}

const HOSTILE = [
  'a|b',
  '`',
  '``x',
  'x"]; click a "javascript:1"',
  '<img src=x>',
  '# h',
  '[l](http://x)',
  '--> z',
  '```',
  'end',
  '1. a',
  '- a',
  '\u001b[31m',
  'x\n```\n# y',
  '%%{init: {}}%%',
  'ünï',
];

suite('names in a page', () => {
  test('code is one span, whatever the name is, and does not end a cell', () => {
    assert.equal(code('prod'), '`prod`');
    assert.equal(code('a`b'), '``a`b``');
    assert.equal(code('`'), '`` ` ``');
    assert.equal(code('a|b'), '`a\\|b`');
    for (const name of HOSTILE) {
      const span = code(name);
      assert.doesNotMatch(span, /\n|(?<!\\)\|/, name);
      const [, fence = '', inner = ''] = /^(`+)(.*?)\1$/s.exec(span) ?? [];
      assert.ok(fence.length > 0 && !inner.replaceAll('\\|', '|').split(/[^`]+/).includes(fence), span);
    }
  });

  test('a label of Mermaid holds none of its signs', () => {
    assert.equal(mermaidLabel('tag:role=bastion'), '"tag:role=bastion"');
    assert.equal(mermaidLabel('a"]b'), '"a#34;#93;b"');
    for (const name of HOSTILE) assert.match(mermaidLabel(name), /^"(?:[\p{L}\p{N} .,:/@=+_()-]|#\d+;)*"$/u, name);
  });
});

const pageOf = (catalogue: Catalogue) => teamPage(catalogue, (cloud) => cloud.toUpperCase());

suite('the page of a team', () => {
  test('a diagram leads from teams over targets to machines, the nearest first', () => {
    const page = pageOf(
      catalogueOf(`version: 1
targets:
  bastion: { aws: { instance: i-0b, region: eu-west-1 } }
  inner: { host: db.internal, hostPort: 5432, via: [bastion, middle.internal], user: me }
teams:
  readers: { aws: { role: readers }, members: [alice@example.com], may: { connect: [inner], ssh: [bastion] }, until: 2027-03-31 }
`),
    );
    const [, diagram = ''] = /```mermaid\n([\s\S]*?)```/.exec(page) ?? [];
    assert.deepEqual(diagram.trimEnd().split('\n'), [
      'flowchart LR',
      '  team1(["readers"])',
      '  target2["inner"]',
      '  machine3[["middle.internal"]]',
      '  machine4[["i-0b"]]',
      '  target5["bastion"]',
      '  team1 -- "connect until 2027-03-31" --> target2',
      '  target2 --> machine3',
      '  machine3 --> machine4',
      '  team1 -- "ssh until 2027-03-31" --> target5',
      '  target5 --> machine4',
    ]);
    assert.match(
      page,
      /^\| connect \| `inner` \| `db\.internal:5432`, through `i-0b` and `middle\.internal` \| role `readers` in AWS \|$/m,
    );
    assert.match(page, /^\| `inner` \| `cloudtun forward inner` \| `127\.0\.0\.1:\d{5}` \| `me` \|$/m);
    assert.match(page, /^\| `bastion` \| `cloudtun ssh bastion` \|/m);
  });

  test('the same catalogue gives the same page', () => {
    const text =
      'version: 1\ntargets: { b: { aws: { instance: i-0b } } }\nteams: { t: { aws: { role: r }, may: { ssh: [b] } } }\n';
    assert.equal(pageOf(catalogueOf(text)), pageOf(catalogueOf(text)));
    assert.ok(pageOf(catalogueOf(text)).startsWith(PAGE_MARK));
  });

  test('a reason that is asked for, rules, and what is not given are said', () => {
    const page = pageOf(
      catalogueOf(`version: 1
targets: { prod: { rds: orders, region: eu-west-1 } }
groups: { all: [prod] }
teams: { t: { aws: { role: r }, may: { connect: [prod], ssh: [prod] } } }
policy: { requireReason: [all], maxTtl: 12h, hours: { days: [mon], from: "08:00", to: "18:00", zone: UTC } }
`),
    );
    assert.match(page, /`cloudtun rds prod --reason TEXT`/);
    assert.match(page, /^- not given: `prod is a database, and ssh needs a machine`$/m);
    assert.match(page, /^- no tunnel lives longer than `12h`$/m);
    assert.match(page, /^- tunnels are open mon 08:00-18:00 UTC only$/m);
  });

  test('hostile names stay inside of their cells and labels', () => {
    // A catalogue takes no name that looks like a flag, or has signs that do not show.
    for (const name of HOSTILE.filter((one) => !/\p{Cc}/u.test(one))) {
      const key = JSON.stringify(`n${name}`);
      const page = pageOf(
        catalogueOf(
          `version: 1\ntargets: { ${key}: { aws: { instance: ${key}, region: eu-west-1 } } }\nteams: { ${key}: { aws: { role: ${key} }, members: [${key}], may: { ssh: [${key}] } } }\n`,
        ),
      );
      assert.equal(page.match(/^```/gm)?.length, 2, name);
      let cells: number | undefined;
      for (const line of page.split('\n')) {
        if (!line.startsWith('|')) {
          cells = undefined;
          continue;
        }
        const count = line.replaceAll('\\|', '').split('|').length;
        assert.equal(count, cells ?? count, line);
        cells = count;
      }
    }
  });
});
