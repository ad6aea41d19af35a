import { Flags } from '@oclif/core';
import { cefLine } from '../../audit/core/export-cef.ts';
import { csvHeader, csvLine } from '../../audit/core/export-csv.ts';
import { ocsfLine } from '../../audit/core/export-ocsf.ts';
import { LineSelection, type ToldLine } from '../../audit/core/line-selection.ts';
import { readJournal } from '../../audit/read-journal.ts';
import { AuditCommand, JOURNAL_ARGUMENT, LINE_FLAGS, sinceFlag } from '../../cli/audit-command.ts';
import { isAboutJournal } from '../../cli/present/audit-lines.ts';

const FORMATS = ['jsonl', 'csv', 'cef', 'ocsf'] as const;
type Format = (typeof FORMATS)[number];

/** What `audit export --json` prints: the lines in the format that was asked for, none of which is written then. */
interface AuditExportJson {
  readonly journal: string;
  readonly format: Format;
  readonly lines: readonly string[];
}

export default class AuditExport extends AuditCommand {
  static override summary = 'hand the journal to another program: JSON lines, CSV, CEF or OCSF';
  static override description =
    'Writes to stdout, a line for each event, in order of time. jsonl is the journal as it is, its own lines about segments included, ' +
    'and each hash; the other formats have who and what in every line, also where the journal says it once for a tunnel.';
  static override examples = [
    '<%= config.bin %> audit export --format csv > november.csv',
    '<%= config.bin %> audit export --format ocsf --since 1d | gzip > today.json.gz',
    '<%= config.bin %> audit export --format cef --event denial --since 2026-11-01',
    '<%= config.bin %> audit export --format jsonl --person alice',
  ];
  static override args = JOURNAL_ARGUMENT;
  static override flags = {
    format: Flags.string({
      description: 'jsonl, csv (RFC 4180), cef (CEF:0) or ocsf (1.3.0, Tunnel Activity)',
      env: 'CLOUDTUN_FORMAT',
      options: [...FORMATS],
      default: 'jsonl',
    }),
    since: sinceFlag('none'),
    ...LINE_FLAGS,
  };

  async run(): Promise<AuditExportJson> {
    const { args, flags } = await this.parse(AuditExport);
    const format = FORMATS.find((each) => each === flags.format) ?? 'jsonl';
    const path = await this.journalPath(args.journal);
    const since = this.sinceOf(flags.since ?? 'none');
    const selection = new LineSelection(this.filterOf(flags, since));
    const { lines } = readJournal(path, {}, { touchedSince: since });
    const told = selection.take(lines).filter(({ line }) => format === 'jsonl' || !isAboutJournal(line));
    const texts = told.map((each) => this.#textOf(each, format));
    if (format === 'csv') texts.unshift(csvHeader());
    // A format says how a line ends; whoever reads a file of it counts on that.
    if (!this.jsonEnabled()) for (const text of texts) this.terminal.result(text.slice(0, -1));
    return { journal: path, format, lines: this.jsonEnabled() ? texts.map((text) => text.trimEnd()) : [] };
  }

  #textOf(told: ToldLine, format: Format): string {
    const { version } = this.config;
    switch (format) {
      case 'csv':
        return csvLine(told);
      case 'cef':
        return cefLine(told, version);
      case 'ocsf':
        return ocsfLine(told, version);
      case 'jsonl':
        return `${JSON.stringify(told.line.event)}\n`;
    }
  }
}
