import { Flags } from '@oclif/core';
import type { JournalUse } from '../../audit/core/journal-uses.ts';
import { isCalled } from '../../audit/core/line-selection.ts';
import { AuditCommand, JOURNAL_ARGUMENT } from '../../cli/audit-command.ts';
import { listOf, SELECTION_FLAGS } from '../../cli/flags.ts';
import { type Reconciled, reconciledJson } from '../../cli/present/reconcile-json.ts';
import { plural } from '../../cli/present/tunnel-lines.ts';
import { askCloud, type RecordSource, recordPlaces, recordsOfFiles } from '../../cli/reconcile-sources.ts';
import { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { PROVIDER_IDS } from '../../domain/target.ts';

/** What `audit reconcile --json` prints. */
interface AuditReconcileJson {
  readonly journal: string;
  readonly agrees: boolean;
  readonly sources: readonly ReturnType<typeof reconciledJson>[];
}

const USUAL_SINCE = '7d';
/** What happened a little earlier by one clock may be in time by the other. */
const MARGIN: Millis = 3_600_000;
/** A tunnel's first line, which says whose it is, may stand in an older file than its sessions do (guessed: few live longer). */
const TUNNEL_AGE: Millis = 7 * 86_400_000;
const DIFFERENCES = 1;

export default class AuditReconcile extends AuditCommand {
  static override summary =
    "hold the journal against the cloud's own record: what one of them lacks, and clocks that differ";
  static override description =
    'Asks CloudTrail or Cloud Audit Logs for your own tunnels, in the region or project that is set up, or reads files of their records. ' +
    'On AWS each session has a record with its id; on Google Cloud each connection has one in the Data Access log, if that is turned on. ' +
    'What is so young that the record may still come is no difference. Exit code: 0 both agree; 1 they differ.';
  static override examples = [
    '<%= config.bin %> audit reconcile --from aws',
    '<%= config.bin %> audit reconcile --from gcp --project shop-prod --since 30d --everybody',
    '<%= config.bin %> audit reconcile --from AWSLogs/111122223333/CloudTrail/ --person alice',
    '<%= config.bin %> audit reconcile /evidence/journal --everybody --from trail-*.json.gz',
  ];
  static override args = JOURNAL_ARGUMENT;
  static override flags = {
    from: Flags.string({
      description: `${PROVIDER_IDS.join(' or ')} to ask the cloud, or files and directories of its records; may be repeated, takes all that follows`,
      env: 'CLOUDTUN_FROM',
      helpValue: 'CLOUD|FILE',
      multiple: true,
      required: true,
    }),
    since: Flags.string({
      description: `not older than this: a time back (30d), a date (2026-11-01) or none (default: ${USUAL_SINCE}; of files all)`,
      env: 'CLOUDTUN_SINCE',
      helpValue: 'TIME',
    }),
    person: Flags.string({
      description:
        'tunnels of this person instead of your own: a name, a whole id, or what is before the @; may be repeated',
      env: 'CLOUDTUN_PERSON',
      helpValue: 'NAME',
      multiple: true,
      multipleNonGreedy: true,
    }),
    everybody: Flags.boolean({
      description: 'tunnels of all people, for a journal that all of them write to',
      env: 'CLOUDTUN_EVERYBODY',
      exclusive: ['person'],
    }),
    ...SELECTION_FLAGS,
  };

  async run(): Promise<AuditReconcileJson> {
    const { args, flags } = await this.parse(AuditReconcile);
    const { clouds, files } = recordPlaces(this.world, listOf(flags.from) ?? []);
    const path = await this.journalPath(args.journal);
    const since = this.sinceOf(flags.since ?? (clouds.length > 0 ? USUAL_SINCE : 'none'));
    if (since !== undefined && since > this.world.clock.wall())
      throw new CloudtunError('CT_USAGE', `--since ${flags.since} lies ahead`, {
        hint: 'write a time back, such as 30d',
      });
    const persons = listOf(flags.person);
    const sources = await this.#sources(
      { clouds, files, since, wantsAsker: persons === undefined && !flags.everybody },
      flags,
    );
    const uses = await this.#uses(path, sources);
    const found = await Promise.all(
      sources.map((source) => this.#reconcile(source, uses, flags.everybody ? 'everybody' : persons)),
    );
    if (!this.jsonEnabled()) {
      const { reconciledLines } = await import('../../cli/present/reconcile-lines.ts');
      for (const line of found.flatMap((each) => reconciledLines(each))) this.terminal.result(line);
    }
    const agrees = found.every(({ result }) => result.differences.length === 0);
    if (!agrees) this.endWith(DIFFERENCES);
    return { journal: path, agrees, sources: found.map(reconciledJson) };
  }

  async #sources(
    wish: {
      readonly clouds: ReturnType<typeof recordPlaces>['clouds'];
      readonly files: readonly string[];
      readonly since: Millis | undefined;
      readonly wantsAsker: boolean;
    },
    flags: Readonly<Partial<Record<'profile' | 'region' | 'project' | 'zone', string | undefined>>>,
  ): Promise<readonly RecordSource[]> {
    const { since, wantsAsker } = wish;
    const said = Object.fromEntries(
      (['profile', 'region', 'project', 'zone'] as const).flatMap((key) =>
        flags[key] === undefined ? [] : [[key, flags[key]] as const],
      ),
    );
    const asked: RecordSource[] = [];
    for (const cloud of wish.clouds) {
      this.terminal.progress(`asking ${cloud} ...`);
      const told = (count: number) => this.terminal.progress(`asking ${cloud} ... ${plural(count, 'record')}`);
      const how = { prompts: this.prompts, told, signal: this.signal };
      asked.push(await askCloud(this.world, { cloud, said, since, margin: MARGIN, wantsAsker }, how));
    }
    if (wish.files.length > 0) {
      const { readRecordFiles } = await import('../../audit/read-record-files.ts');
      this.terminal.progress('reading files ...');
      asked.push(...(await recordsOfFiles(wish.files, readRecordFiles, since)));
    }
    this.terminal.settle();
    return asked;
  }

  async #uses(path: string, sources: readonly RecordSource[]): Promise<readonly JournalUse[]> {
    const [{ readJournal }, { journalUses }] = await Promise.all([
      import('../../audit/read-journal.ts'),
      import('../../audit/core/journal-uses.ts'),
    ]);
    const earliest = Math.min(...sources.map(({ from }) => from));
    return journalUses(readJournal(path, {}, { touchedSince: earliest - MARGIN - TUNNEL_AGE }).lines);
  }

  async #reconcile(
    source: RecordSource,
    uses: readonly JournalUse[],
    named: 'everybody' | readonly string[] | undefined,
  ): Promise<Reconciled> {
    const { reconcile } = await import('../../audit/core/reconcile.ts');
    const { reader, records, scopes, from, to, label } = source;
    const persons = named === 'everybody' ? undefined : (named ?? this.#ownNames(source, uses));
    const result = reconcile({
      reader,
      records,
      uses,
      scopes,
      from,
      to,
      now: this.world.clock.wall(),
      isWanted: (person) => persons === undefined || persons.some((name) => isCalled(person, name)),
    });
    const isSilent = !records.some(({ use }) => use !== undefined);
    return { source: label, reader, persons, since: from, isSilent, result };
  }

  /** Who asked; of files, whoever the journal is of. */
  #ownNames({ asker, reader }: RecordSource, uses: readonly JournalUse[]): readonly string[] {
    if (asker !== undefined) return [asker];
    const here = uses.filter((use) => reader.scopesOf(use).length > 0);
    const persons = [...new Set(here.flatMap(({ person }) => person ?? []))];
    if (persons.length > 0) return persons;
    throw new CloudtunError(
      'CT_USAGE',
      `the journal names nobody whose records of ${reader.label} could be looked for`,
      {
        hint: 'say whose: --person NAME, or --everybody',
      },
    );
  }
}
