import { writeFile } from 'node:fs/promises';
import { Args, Flags } from '@oclif/core';
import { CLOUD_FLAG, SELECTION_FLAGS } from '../cli/flags.ts';
import { principalText } from '../cli/present/principal-text.ts';
import { printable } from '../cli/present/printable.ts';
import { plural } from '../cli/present/tunnel-lines.ts';
import { TeamApplyCommand, type TeamApplyJson } from '../cli/team-apply.ts';
import { catalogueFiles, loadCatalogue } from '../config/load.ts';
import type { NamedPlace } from '../config/remove-member.ts';
import type { Selection } from '../config/tunnel-settings.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { Principal } from '../domain/grant.ts';
import type { ProviderId } from '../domain/target.ts';
import type { LiveSession, Provider } from '../providers/provider.ts';

/** Sessions of the person in one place, or why they are not known. */
interface PlaceSessions {
  readonly place: string;
  readonly sessions: readonly LiveSession[];
  readonly problem?: string;
}

/** What `offboard --json` prints. */
interface OffboardJson {
  readonly person: string;
  readonly named: readonly (NamedPlace & { readonly file: string })[];
  readonly places: readonly PlaceSessions[];
  /** Groups, roles and permission sets that the person has these permissions by: cloudtun does not fill them. */
  readonly directory: readonly Principal[];
  readonly ended: readonly string[];
  readonly applied?: TeamApplyJson;
}

export default class Offboard extends TeamApplyCommand {
  static override summary =
    'take away what somebody has: out of cloudtun.yaml, out of the clouds, and their open sessions';
  static override description =
    'Without --apply it only lists. With it: takes the person out of cloudtun.yaml, applies the permissions that follow (team apply), and ends ' +
    'their sessions, in this order, so that none is opened again. Groups and permission sets are filled by your directory: take the person out ' +
    'there as well. Safe to run again.';
  static override examples = [
    '<%= config.bin %> offboard alice@example.com',
    '<%= config.bin %> offboard alice@example.com --apply --profile admin',
  ];
  static override args = {
    person: Args.string({
      description: 'address or name, as cloudtun.yaml or the cloud has it',
      required: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    ...SELECTION_FLAGS,
    ...CLOUD_FLAG,
    apply: Flags.boolean({ description: 'do it, after asking', env: 'CLOUDTUN_APPLY' }),
    yes: Flags.boolean({ char: 'y', description: 'with --apply: do not ask', env: 'CLOUDTUN_YES' }),
  };

  async run(): Promise<OffboardJson> {
    await using _ = this.providers;
    const { args, flags } = await this.parse(Offboard);
    const { person } = args;
    const names = namesOf(person);
    const files = await this.#files(names);
    const named = files.flatMap(({ label, places }) => places.map((place) => ({ ...place, file: label })));
    const said = this.saidBy(flags);
    const places = await this.#sessions(said, flags.cloud, names);
    const directory = await this.#directory(named.map(({ team }) => team));
    const report = { person, named, places, directory };
    this.#list(person, named, places);
    const count = places.flatMap(({ sessions }) => sessions).length;
    if (!flags.apply) {
      this.#directoryLeft(person, directory);
      if (named.length + count > 0) this.terminal.note(`nothing done yet: cloudtun offboard ${person} --apply`);
      return { ...report, ended: [] };
    }
    const applied = named.length === 0 ? undefined : await this.#apply(files, flags);
    if (applied !== undefined && applied.left > 0) return { ...report, ended: [], applied };
    const ended = await this.#end(said, flags.cloud, names);
    // Last, since it is what is left to do.
    this.#directoryLeft(person, directory);
    return { ...report, ended, ...(applied && { applied }) };
  }

  /** What gives the person's teams their permissions, but the person. */
  async #directory(teams: readonly string[]): Promise<readonly Principal[]> {
    const { principalsOf } = await import('../onboarding/grants.ts');
    const catalogue = await loadCatalogue(this.world);
    const all = [...new Set(teams)].flatMap((team) => principalsOf(catalogue.teams.get(team) ?? {}));
    const others = all.filter(({ kind }) => kind !== 'user');
    return [...new Map(others.map((each) => [`${each.cloud}:${each.kind}:${each.name}`, each])).values()];
  }

  #directoryLeft(person: string, directory: readonly Principal[]): void {
    if (this.jsonEnabled()) return;
    const groups = directory.map((each) => `${principalText(each)} (${each.cloud})`).join(', ');
    const text =
      groups === ''
        ? `left to do in your directory: take ${person} out of groups and permission sets, if they are in any`
        : `left to do in your directory: take ${person} out of ${groups}; until then the clouds let them in`;
    this.terminal.result(printable(text));
    this.terminal.note('credentials that are out already last until they expire');
  }

  /** Files of the catalogue that name the person, with what they would be without. */
  async #files(names: readonly string[]) {
    const { withoutPerson } = await import('../config/remove-member.ts');
    await loadCatalogue(this.world);
    return (await catalogueFiles(this.world)).flatMap(({ path, label, text }) => {
      const found = withoutPerson(text, names);
      return found.places.length === 0 ? [] : [{ path, label, ...found }];
    });
  }

  #list(person: string, named: OffboardJson['named'], places: readonly PlaceSessions[]): void {
    this.terminal.settle();
    if (this.jsonEnabled()) return;
    const lines = [
      ...named.map(({ file, team, key, value }) => `- ${file}: teams.${team}.${key}: ${value}`),
      ...places.flatMap(({ place, sessions, problem }) => [
        ...sessions.map(
          ({ id, target, document }) => `- session ${id} on ${target} (${document ?? 'shell'}, ${place})`,
        ),
        ...(problem === undefined ? [] : [`? ${place}: ${problem}`]),
      ]),
    ];
    if (lines.length === 0)
      lines.push(`${person} is in no team of cloudtun.yaml, and has no open session that could be seen`);
    for (const line of lines) this.terminal.result(printable(line));
  }

  /** The file first, since permissions follow from it; given back as it was where nobody agrees to them. */
  async #apply(
    files: readonly { readonly path: string; readonly text: string }[],
    flags: { readonly yes: boolean } & Parameters<Offboard['question']>[0],
  ): Promise<TeamApplyJson> {
    const before = await catalogueFiles(this.world);
    for (const { path, text } of files) await writeFile(path, text);
    try {
      const applied = await this.applyTeams(await this.question(flags), { yes: flags.yes });
      if (applied.left === 0) return applied;
      await this.#giveBack(before, files);
      return applied;
    } catch (error) {
      await this.#giveBack(before, files);
      throw error;
    }
  }

  async #giveBack(
    before: readonly { readonly path: string; readonly text: string }[],
    files: readonly { readonly path: string }[],
  ): Promise<void> {
    for (const { path, text } of before) if (files.some((file) => file.path === path)) await writeFile(path, text);
    this.terminal.note('cloudtun.yaml is as it was');
  }

  async #sessions(
    said: Selection,
    cloud: string | undefined,
    names: readonly string[],
  ): Promise<readonly PlaceSessions[]> {
    const found: PlaceSessions[] = [];
    for (const { id, provider, error } of await this.#providers(said, cloud)) {
      if (provider === undefined)
        found.push({ place: id, sessions: [], problem: error?.message ?? 'it was not asked' });
      else if (provider.gatekeeper.liveSessions !== undefined) {
        try {
          const all = await provider.gatekeeper.liveSessions(this.signal);
          found.push({ place: provider.label, sessions: all.filter(({ owner }) => isOwner(owner, names)) });
        } catch (thrown) {
          this.signal.throwIfAborted();
          const problem = asCloudtunError(thrown);
          found.push({ place: provider.label, sessions: [], problem: `${problem.message} (${problem.code})` });
        }
      }
    }
    return found;
  }

  async #end(said: Selection, cloud: string | undefined, names: readonly string[]): Promise<readonly string[]> {
    const ended: string[] = [];
    for (const { provider } of await this.#providers(said, cloud)) {
      const { gatekeeper } = provider ?? {};
      // Asked again: one that was opened while permissions were changed is to end as well.
      for (const { id, owner } of (await gatekeeper?.liveSessions?.(this.signal)) ?? []) {
        if (!isOwner(owner, names)) continue;
        await gatekeeper!.endSession(id, this.signal);
        ended.push(id);
        if (!this.jsonEnabled()) this.terminal.result(printable(`ended session ${id}`));
      }
    }
    if (ended.length > 0) this.terminal.note(`${plural(ended.length, 'session')} ended`);
    return ended;
  }

  /** Each place of the catalogue once. */
  async #providers(said: Selection, only: string | undefined) {
    const { placesOf } = await import('../onboarding/identities.ts');
    const places = placesOf(await loadCatalogue(this.world), said).filter(
      ({ cloud }) => only === undefined || only === cloud,
    );
    return Promise.all(
      places.map(
        async ({
          cloud,
          selection,
        }): Promise<{ readonly id: ProviderId; readonly provider?: Provider; readonly error?: CloudtunError }> => {
          try {
            return { id: cloud, provider: await this.openProvider(cloud, selection) };
          } catch (thrown) {
            return { id: cloud, error: asCloudtunError(thrown) };
          }
        },
      ),
    );
  }
}

/** The address, and the name in front of it. */
function namesOf(person: string): readonly string[] {
  const whole = person.trim().toLowerCase();
  if (whole === '') throw new CloudtunError('CT_USAGE', 'nobody is named');
  return [...new Set([whole, whole.split('@')[0]!])];
}

/** `arn:aws:sts::1:assumed-role/readers/alice@example.com`: the last part names the person. */
const isOwner = (owner: string, names: readonly string[]) =>
  names.includes((owner.split('/').at(-1) ?? '').toLowerCase());
