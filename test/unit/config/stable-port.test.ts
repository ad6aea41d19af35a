import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type Catalogue, completeTargets, NO_CATALOGUE } from '../../../src/config/catalogue.ts';
import { parseCatalogue } from '../../../src/config/parse.ts';
import { ownPort, stablePort } from '../../../src/config/stable-port.ts';

const REGION = 'ap-northeast-1';
const AWS = { cloud: 'aws', scope: REGION } as const;

function catalogue(targets: string): Catalogue {
  const { entries } = parseCatalogue(`version: 1\ntargets:\n${targets}`, 'cloudtun.yaml');
  return { ...NO_CATALOGUE, files: ['cloudtun.yaml'], targets: completeTargets(entries) };
}

function portOf(all: Catalogue, name: string): number {
  const target = all.targets.get(name);
  assert.ok(target?.kind === 'database' || target?.kind === 'host');
  return ownPort(target, all, { id: 'aws', scope: REGION });
}

/** Two database names whose hashes meet, found by looking. */
function namesThatCollide(): readonly [string, string] {
  const seen = new Map<number, string>();
  for (let count = 0; ; count++) {
    const name = `db-${count}`;
    const port = stablePort({ ...AWS, kind: 'rds', name });
    const earlier = seen.get(port);
    if (earlier !== undefined) return [earlier, name];
    seen.set(port, name);
  }
}

suite('stable local ports', () => {
  test('never change from one version of cloudtun to the next', () => {
    assert.equal(stablePort({ ...AWS, kind: 'rds', name: 'prod' }), 23_766);
  });

  test('lie in 20000–29999 and differ by what is reached', () => {
    const subjects = [
      { ...AWS, kind: 'rds', name: 'prod' },
      { ...AWS, kind: 'rds', name: 'prod', scope: 'eu-west-1' },
      { ...AWS, kind: 'rds', name: 'prod', isReader: true },
      { ...AWS, kind: 'machine', name: 'prod', port: 22 },
      { ...AWS, kind: 'machine', name: 'prod', port: 80 },
      { ...AWS, kind: 'host', name: 'admin.internal:80', via: 'a' },
      { ...AWS, kind: 'host', name: 'admin.internal:80', via: 'b' },
    ] as const;
    const ports = subjects.map(stablePort);
    assert.equal(new Set(ports).size, subjects.length);
    for (const port of ports) assert.ok(port >= 20_000 && port <= 29_999, String(port));
  });

  test('a database has the same port with and without a bastion named', () => {
    const subject = { ...AWS, kind: 'rds', name: 'prod' } as const;
    assert.equal(stablePort({ ...subject, via: 'bastion-a' }), stablePort(subject));
  });

  test('a catalogue entry has the port of the same target without a catalogue', () => {
    const found = catalogue('  orders: { rds: prod }\n');
    assert.equal(portOf(found, 'orders'), stablePort({ ...AWS, kind: 'rds', name: 'prod' }));
  });

  test('two catalogue entries that meet are an error naming both and their places', () => {
    const [one, other] = namesThatCollide();
    const both = catalogue(`  first: { rds: ${one} }\n  second: { rds: ${other} }\n`);
    assert.throws(() => portOf(both, 'first'), {
      code: 'CT_CONFIG',
      message: /"first" and "second" both have local port 2\d{4}/,
      details: [
        ['first', 'cloudtun.yaml:3:3'],
        ['second', 'cloudtun.yaml:4:3'],
      ],
    });
  });

  test('a written port that another entry has by its hash is an error, two written ones are not', () => {
    const port = stablePort({ ...AWS, kind: 'rds', name: 'prod' });
    const mixed = catalogue(`  a: { rds: prod }\n  b: { rds: other, port: ${port} }\n`);
    assert.throws(() => portOf(mixed, 'b'), { code: 'CT_CONFIG' });
    const byHand = catalogue('  a: { rds: prod, port: 13306 }\n  b: { rds: other, port: 13306 }\n');
    assert.equal(portOf(byHand, 'a'), 13_306);
  });
});
