/**
 * Writes docs/examples/team/: what comes of the catalogue in README.md, as files of JSON and Terraform for each cloud, and the page that
 * `team docs` makes of it. No cloud is asked: account numbers, endpoints and ids are stand-ins.
 *
 *     node scripts/team-example.ts            write them
 *     node scripts/team-example.ts --check    exit 1 when a committed one differs
 */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { teamPage } from '../src/cli/present/team-page.ts';
import { cloudLabels } from '../src/compose.ts';
import type { Catalogue } from '../src/config/catalogue.ts';
import { checkFiles } from '../src/config/check-files.ts';
import { draftTeams } from '../src/onboarding/team-plan.ts';
import { PROVIDERS } from '../src/providers/registry.ts';

const root = join(import.meta.dirname, '..');
const FOLDER = 'docs/examples/team';

/** The catalogue that README.md shows. */
export function readmeCatalogue(): { readonly text: string; readonly catalogue: Catalogue } {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const [, text] = /^## A team\n[\s\S]*?^```yaml\n([\s\S]*?)^```$/m.exec(readme) ?? [];
  if (text === undefined) throw new Error('README.md has no catalogue under "A team"');
  const { catalogue, problems } = checkFiles([{ path: 'cloudtun.yaml', label: 'README.md', text }]);
  if (catalogue === undefined) throw new Error(`the catalogue of README.md is wrong: ${JSON.stringify(problems)}`);
  return { text, catalogue };
}

/** Path below the folder → text. */
export async function exampleFiles(): Promise<ReadonlyMap<string, string>> {
  const { text, catalogue } = readmeCatalogue();
  const { parts } = await draftTeams(
    { catalogue, said: {} },
    (cloud) => PROVIDERS[cloud].policy?.keys,
    async (cloud) => PROVIDERS[cloud].policy!.drafter(),
  );
  const exported = parts
    .filter(({ grants }) => grants.length > 0)
    .flatMap(({ cloud, drafter, draft }) =>
      (['json', 'terraform'] as const).flatMap((format) =>
        drafter.files(draft, format).map(({ path, text: content }) => [`${cloud}/${format}/${path}`, content] as const),
      ),
    );
  return new Map([['cloudtun.yaml', text], ['access.md', teamPage(catalogue, await cloudLabels())], ...exported]);
}

/** What is committed. */
export function committedFiles(): ReadonlyMap<string, string> {
  const paths = globSync('**/*.*', { cwd: join(root, FOLDER) }).sort();
  return new Map(paths.map((path) => [path, readFileSync(join(root, FOLDER, path), 'utf8')]));
}

if (import.meta.main) {
  const files = await exampleFiles();
  const committed = committedFiles();
  if (process.argv.includes('--check')) {
    const wrong = [...new Set([...files.keys(), ...committed.keys()])].filter(
      (path) => files.get(path) !== committed.get(path),
    );
    for (const path of wrong)
      process.stderr.write(`${FOLDER}/${path} is out of date: run node scripts/team-example.ts\n`);
    if (wrong.length > 0) process.exitCode = 1;
  } else {
    for (const path of committed.keys()) if (!files.has(path)) rmSync(join(root, FOLDER, path));
    for (const [path, text] of files) {
      mkdirSync(dirname(join(root, FOLDER, path)), { recursive: true });
      writeFileSync(join(root, FOLDER, path), text);
    }
  }
}
