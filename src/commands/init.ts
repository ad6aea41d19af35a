import { join } from 'node:path';
import { Flags } from '@oclif/core';
import type { CandidateCloud } from '../broker/settle-cloud.ts';
import { combinedFailure } from '../broker/settle-cloud.ts';
import { CatalogueWriter } from '../cli/catalogue-writer.ts';
import { withFirstSteps } from '../cli/first-steps.ts';
import { CLOUD_FLAG, cloudOf, SELECTION_FLAGS } from '../cli/flags.ts';
import { printable } from '../cli/present/printable.ts';
import { composeProviders } from '../compose.ts';
import { catalogueFiles, loadCatalogue, PROJECT_FILE } from '../config/load.ts';
import type { FoundPlace, ProposedTarget } from '../config/propose-targets.ts';
import { tunnelSettings } from '../config/tunnel-settings.ts';
import { asCloudtunError, type CloudtunError } from '../domain/errors.ts';
import type { Provider } from '../providers/provider.ts';

/** What `init --json` prints. */
interface InitJson {
  readonly file: string;
  readonly isWritten: boolean;
  readonly targets: readonly ProposedTarget[];
  /** Databases that were found and left out. */
  readonly leftOut: readonly { readonly name: string; readonly reason: string }[];
}

/** Databases whose way is looked for at the same time. */
const AT_ONCE = 8;

export default class Init extends CatalogueWriter {
  static override summary = 'write a first cloudtun.yaml from what your clouds have';
  static override description =
    'Finds the databases that can be reached and the machines that reach them, in every cloud that is set up, shows the file, and asks before it writes. ' +
    'A cloudtun.yaml that is there keeps everything; what it lacks is added.';
  static override examples = [
    '<%= config.bin %> init',
    '<%= config.bin %> init --dry-run',
    '<%= config.bin %> init --shared --profile admin',
    '<%= config.bin %> init --cloud aws --profile prod --yes',
  ];
  static override flags = {
    ...SELECTION_FLAGS,
    ...CLOUD_FLAG,
    'dry-run': Flags.boolean({ description: 'show the file, write nothing', env: 'CLOUDTUN_DRY_RUN' }),
    shared: Flags.boolean({
      description: 'for a file that a team shares: no profile in it, everybody brings their own',
      env: 'CLOUDTUN_SHARED',
    }),
    yes: Flags.boolean({ char: 'y', description: 'write without asking', env: 'CLOUDTUN_YES' }),
  };

  async run(): Promise<InitJson> {
    const { flags } = await this.parse(Init);
    const catalogue = await loadCatalogue(this.world);
    const project = (await catalogueFiles(this.world)).find(({ path }) => path.endsWith(PROJECT_FILE));
    const { selection, said } = tunnelSettings(flags, catalogue);
    const question = { cloud: cloudOf(flags.cloud), said, selection };
    await using clouds = await composeProviders(this.world, question, this.prompts);
    this.terminal.progress(`asking ${clouds.providers.map(({ label }) => label).join(' and ')} ...`);
    const places = await this.#places(clouds.candidates, clouds.firstSteps);
    const [{ proposeTargets }, { withTargets }] = await Promise.all([
      import('../config/propose-targets.ts'),
      import('../config/write-catalogue.ts'),
    ]);
    const found = flags.shared ? places.map(({ profile: _, ...place }) => place) : places;
    const all = proposeTargets(found, new Set());
    const known = new Set([...catalogue.targets.values()].map(whatItIs));
    const fresh = all.filter(({ entry }) => !known.has(entryIs(entry)));
    const targets = project === undefined ? all : renamed(fresh, new Set(catalogue.targets.keys()));
    const file = project?.path ?? join(this.world.cwd, PROJECT_FILE);
    const text = withTargets(project?.text, targets);
    const leftOut = places.flatMap(({ databases }) =>
      databases.flatMap(({ target, problem }) =>
        problem === undefined ? [] : [{ name: target.name ?? target.id, reason: problem }],
      ),
    );
    this.terminal.settle();
    for (const { name, reason } of leftOut) this.terminal.note(printable(`left out: ${name} (${reason})`));
    const isWritten = targets.length > 0 && !flags['dry-run'] && (await this.agreesTo(text, flags.yes));
    if (targets.length === 0) this.terminal.note('nothing was found that the catalogue lacks');
    else if (flags['dry-run'] && !this.jsonEnabled()) this.terminal.result(text.trimEnd());
    if (isWritten) await this.writeFile(file, text, targets.length);
    return { file, isWritten, targets, leftOut };
  }

  async #places(candidates: readonly CandidateCloud[], firstSteps: readonly string[]): Promise<readonly FoundPlace[]> {
    const found: FoundPlace[] = [];
    const failures: { readonly id: CandidateCloud['id']; readonly error: CloudtunError }[] = [];
    for (const candidate of candidates) {
      if ('error' in candidate) failures.push(candidate);
      else {
        try {
          found.push(await this.#place(candidate.provider));
        } catch (thrown) {
          this.signal.throwIfAborted();
          failures.push({ id: candidate.id, error: asCloudtunError(thrown) });
        }
      }
    }
    if (found.length === 0) throw withFirstSteps(combinedFailure(failures), firstSteps);
    for (const { id, error } of failures)
      this.terminal.complain(`${id} is missing here: ${error.message} (${error.code})`);
    return found;
  }

  async #place(provider: Provider): Promise<FoundPlace> {
    const { id, region, project, profile, finder } = provider;
    const listed = await finder.list({}, this.signal);
    const databases: FoundPlace['databases'][number][] = [];
    const waiting = listed.flatMap(({ target, reachable, remark }) =>
      target.kind === 'database' ? [{ target, reachable, remark }] : [],
    );
    for (let start = 0; start < waiting.length; start += AT_ONCE) {
      const some = waiting.slice(start, start + AT_ONCE).map(async ({ target, reachable, remark }) => {
        if (!reachable) return { target, problem: remark };
        try {
          const { node } = await finder.routeTo(target, target.endpoint.port, {}, this.signal);
          return { target, ...(node.id !== target.id && { via: node }) };
        } catch (thrown) {
          this.signal.throwIfAborted();
          return { target, problem: asCloudtunError(thrown).message };
        }
      });
      databases.push(...(await Promise.all(some)));
    }
    const machines = listed.filter(({ reachable, target }) => reachable && target.kind === 'machine');
    return {
      cloud: id,
      ...(region !== undefined && { region }),
      ...(project !== undefined && { project }),
      ...(profile !== undefined && { profile }),
      databases,
      machines: machines.map(({ target }) => target),
    };
  }
}

/** What an entry leads to, whatever it is called. */
function whatItIs(target: { readonly kind: string } & object): string {
  const { instance, database, host } = target as { instance?: string; database?: string; host?: string };
  return `${target.kind}:${instance ?? database ?? host}`;
}

function entryIs(entry: ProposedTarget['entry']): string {
  for (const value of Object.values(entry)) {
    if (typeof value === 'object' && value !== null && 'instance' in value) return `machine:${value.instance}`;
  }
  return `database:${entry.rds ?? entry.sql}`;
}

/** The same targets by names that the catalogue does not have. */
function renamed(targets: readonly ProposedTarget[], taken: ReadonlySet<string>): readonly ProposedTarget[] {
  const names = new Set(taken);
  return targets.map((target) => {
    let { name } = target;
    for (let count = 2; names.has(name); count += 1) name = `${target.name}-${count}`;
    names.add(name);
    return { ...target, name };
  });
}
