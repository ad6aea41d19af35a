import { statSync } from 'node:fs';
import { Flags } from '@oclif/core';
import { LineSelection, type ToldLine } from '../../audit/core/line-selection.ts';
import { type JournalLine, type JournalPosition, readJournal } from '../../audit/read-journal.ts';
import { AuditCommand, JOURNAL_ARGUMENT, LINE_FLAGS, sinceFlag } from '../../cli/audit-command.ts';
import { auditLine, isAboutJournal } from '../../cli/present/audit-lines.ts';
import type { Millis } from '../../domain/millis.ts';
import { isoTime } from '../../runtime/iso-time.ts';

/** What `audit show --json` prints; with --follow each entry is a line by itself. */
interface AuditShowJson {
  readonly journal: string;
  readonly entries: readonly AuditEntryJson[];
}

/** A line of the journal as it is, and where it stands. */
type AuditEntryJson = Readonly<Record<string, unknown>> & { readonly file: string; readonly line: number };

const USUAL_SINCE = '1d';
/** How soon a new line is shown (guessed: a person does not notice). */
const LOOK_EVERY: Millis = 500;

export default class AuditShow extends AuditCommand {
  static override summary = 'show the journal: who opened what, when and why, and how it ended';
  static override description =
    'The second column is the tunnel: lines with the same one belong together. --person and --target choose whole tunnels, so that ' +
    'their clients and their end are shown too.';
  static override examples = [
    '<%= config.bin %> audit show',
    '<%= config.bin %> audit show --since 30d --person alice --event open',
    '<%= config.bin %> audit show --tunnel 3f2a91bc',
    '<%= config.bin %> audit show --event denial --since 2026-11-01 --json',
    '<%= config.bin %> audit show -f',
  ];
  static override args = JOURNAL_ARGUMENT;
  static override flags = {
    since: sinceFlag(`${USUAL_SINCE}, and none with --tunnel`),
    ...LINE_FLAGS,
    follow: Flags.boolean({
      char: 'f',
      description: 'go on with what is written, until Ctrl-C',
      env: 'CLOUDTUN_FOLLOW',
    }),
  };
  #day: string | undefined;
  #isFollowing = false;

  async run(): Promise<AuditShowJson> {
    const { args, flags } = await this.parse(AuditShow);
    this.#isFollowing = flags.follow;
    const path = await this.journalPath(args.journal);
    const usual = flags.tunnel === undefined ? USUAL_SINCE : 'none';
    const since = this.sinceOf(flags.since ?? usual);
    const selection = new LineSelection(this.filterOf(flags, since));
    const { lines, position } = readJournal(path, {}, { touchedSince: since });
    const told = this.#tellable(selection.take(lines));
    this.#show(told);
    if (told.length === 0 && !flags.follow)
      this.#explainNothing(path, flags.since === undefined && since !== undefined);
    if (flags.follow) await this.#follow(path, position, selection);
    return { journal: path, entries: told.map(({ line }) => entryJson(line)) };
  }

  protected override logJson(json: unknown): void {
    if (!this.#isFollowing) super.logJson(json);
  }

  async #follow(path: string, from: JournalPosition, selection: LineSelection): Promise<void> {
    let position = from;
    const over = () => this.signal.aborted;
    while (!over()) {
      await this.world.clock.sleep(LOOK_EVERY, this.signal).catch(() => {});
      const read = readJournal(path, position);
      position = read.position;
      this.#show(this.#tellable(selection.take(read.lines)));
    }
    this.endAsTold();
  }

  #tellable(told: readonly ToldLine<JournalLine>[]): readonly ToldLine<JournalLine>[] {
    return told.filter(({ line }) => !isAboutJournal(line));
  }

  #show(told: readonly ToldLine<JournalLine>[]): void {
    for (const { line } of told) {
      if (this.jsonEnabled()) {
        if (this.#isFollowing) this.terminal.result(JSON.stringify(entryJson(line)));
        continue;
      }
      const day = isoTime(line.time).slice(0, 10);
      if (day !== this.#day) this.terminal.result(`-- ${day}`);
      this.#day = day;
      this.terminal.result(auditLine(line));
    }
  }

  #explainNothing(path: string, isUsualTime: boolean): void {
    if (statSync(path, { throwIfNoEntry: false }) === undefined) {
      this.terminal.note(`there is no journal at ${path} yet; the first tunnel makes it`);
    } else {
      const more = isUsualTime ? '; all there is: --since none' : '';
      this.terminal.note(`nothing of that kind${isUsualTime ? ' in the last day' : ''}${more}`);
    }
  }
}

function entryJson({ event, file, line }: JournalLine): AuditEntryJson {
  return { ...event, file, line };
}
