import { Args, Flags } from '@oclif/core';
import { type CandidateCloud, combinedFailure } from '../broker/settle-cloud.ts';
import { BaseCommand } from '../cli/base-command.ts';
import { withFirstSteps } from '../cli/first-steps.ts';
import { CLOUD_FLAG, cloudOf, SELECTION_FLAGS } from '../cli/flags.ts';
import { printable } from '../cli/present/printable.ts';
import type { CloudListing, TargetsJson } from '../cli/present/targets-report.ts';
import { composeProviders } from '../compose.ts';
import { loadCatalogue } from '../config/load.ts';
import { rememberedAs, rememberNames } from '../config/name-cache.ts';
import { tunnelSettings } from '../config/tunnel-settings.ts';
import { asCloudtunError } from '../domain/errors.ts';
import { TARGET_KINDS } from '../domain/target.ts';
import type { TargetQuery } from '../providers/provider.ts';
import type { World } from '../runtime/world.ts';

export default class Targets extends BaseCommand {
  static override summary = 'list what can be reached, and why not where not';
  static override examples = [
    '<%= config.bin %> targets',
    '<%= config.bin %> targets orders',
    '<%= config.bin %> targets --kind database --json',
    '<%= config.bin %> targets --cloud gcp --project acme',
  ];
  static override args = {
    query: Args.string({
      description: 'only names, ids, addresses and tags that contain this text',
      ignoreStdin: true,
    }),
  };
  static override flags = {
    ...SELECTION_FLAGS,
    ...CLOUD_FLAG,
    kind: Flags.string({
      description: 'targets of this kind only',
      env: 'CLOUDTUN_KIND',
      options: [...TARGET_KINDS],
    }),
  };

  async run(): Promise<TargetsJson> {
    const { args, flags } = await this.parse(Targets);
    const catalogue = await loadCatalogue(this.world);
    const { selection, said } = tunnelSettings(flags, catalogue);
    const { targetsJson, targetsLines } = await import('../cli/present/targets-report.ts');
    const question = { cloud: cloudOf(flags.cloud), said, selection };
    await using clouds = await composeProviders(this.world, question, this.prompts);
    this.terminal.progress(`asking ${clouds.providers.map(({ label }) => label).join(' and ')} ...`);
    const kind = TARGET_KINDS.find((each) => each === flags.kind);
    const query = { ...(args.query !== undefined && { text: args.query }), ...(kind !== undefined && { kind }) };
    const listings = await listAll(clouds.candidates, query, this.signal);
    const failures = listings.filter((listing) => 'error' in listing);
    if (failures.length === listings.length) throw withFirstSteps(combinedFailure(failures), clouds.firstSteps);
    this.terminal.settle();
    for (const { id, error } of failures) {
      this.terminal.complain(`${id} is missing here: ${printable(error.message)} (${error.code})`);
      for (const hint of error.hints) this.terminal.note(`  ${printable(hint)}`);
    }
    remember(this.world, listings);
    if (!this.jsonEnabled()) {
      for (const line of targetsLines(listings, catalogue)) this.terminal.result(line);
    }
    return targetsJson(listings, catalogue);
  }
}

/** For completion. */
function remember(world: World, listings: readonly CloudListing[]): void {
  for (const listing of listings) {
    if (!('listed' in listing)) continue;
    rememberNames(world, listing.place.label, rememberedAs(listing.listed.map(({ target }) => target)));
  }
}

/** Asks every cloud at the same time; one that fails does not hide the others. */
function listAll(
  candidates: readonly CandidateCloud[],
  query: TargetQuery,
  signal: AbortSignal,
): Promise<readonly CloudListing[]> {
  return Promise.all(
    candidates.map(async (candidate): Promise<CloudListing> => {
      if ('error' in candidate) return candidate;
      const { id, provider } = candidate;
      try {
        const listed = await provider.finder.list(query, signal);
        return { id, place: provider, listed };
      } catch (thrown) {
        signal.throwIfAborted();
        return { id, error: asCloudtunError(thrown) };
      }
    }),
  );
}
