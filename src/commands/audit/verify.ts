import { Flags } from '@oclif/core';
import { type VerifiedJournal, verifyJournal } from '../../audit/verify-journal.ts';
import { AuditCommand, JOURNAL_ARGUMENT } from '../../cli/audit-command.ts';
import { verifiedJson, verifiedLines } from '../../cli/present/verified-lines.ts';
import { cloudKeys } from '../../compose.ts';
import { journalSettings } from '../../config/journal-settings.ts';
import { loadCatalogue } from '../../config/load.ts';
import { CloudtunError } from '../../domain/errors.ts';

/** Something was found. */
const NOT_PROVED = 1;

export default class AuditVerify extends AuditCommand {
  static override summary = 'prove that nobody edited the journal, or name the file and the line';
  static override description =
    'Holds every line against the hash of the one before, and every file against the signed checkpoints. Lines behind the last checkpoint ' +
    'are unproven: those of processes that still run, or that were killed a moment ago. Exit code: 0 nothing was found; 1 the journal was ' +
    'edited (with --strict also: lines are unproven). Whoever has the key, or puts back a whole older copy, is found with --expect only: ' +
    'note the newest checkpoint elsewhere.';
  static override examples = [
    '<%= config.bin %> audit verify',
    '<%= config.bin %> audit verify --strict',
    '<%= config.bin %> audit verify /evidence/journal --key laptop-7.pub',
    '<%= config.bin %> audit verify --expect 112:9c1f00aa52be',
  ];
  static override args = JOURNAL_ARGUMENT;
  static override flags = {
    strict: Flags.boolean({ description: 'unproven lines count as a finding', env: 'CLOUDTUN_STRICT' }),
    key: Flags.string({
      description: 'the public key to check with, instead of the one of the cloud, of this machine or of the directory',
      env: 'CLOUDTUN_KEY',
      helpValue: 'FILE',
    }),
    expect: Flags.string({
      description: 'a checkpoint that was seen before and must still be there',
      env: 'CLOUDTUN_EXPECT',
      helpValue: 'NUMBER:HASH',
    }),
  };

  async run(): Promise<ReturnType<typeof verifiedJson>> {
    const { args, flags } = await this.parse(AuditVerify);
    const expected = expectedOf(flags.expect);
    const path = await this.journalPath(args.journal);
    const cloudKey = args.journal === undefined && flags.key === undefined ? await this.#cloudKey() : undefined;
    const check = verifyJournal(this.world, { path, keyFile: flags.key, cloudKey, expected });
    const isProved = check.findings.length === 0 && !(flags.strict && isUnproven(check));
    if (!this.jsonEnabled()) for (const line of verifiedLines(check)) this.terminal.result(line);
    if (!isProved) this.endWith(NOT_PROVED);
    return verifiedJson(check, isProved);
  }

  /** Of the key that `audit.key` names: what lies beside the journal could have been replaced. */
  async #cloudKey(): Promise<Uint8Array | undefined> {
    const { key } = journalSettings(await loadCatalogue(this.world));
    if (key === undefined) return undefined;
    await using keys = cloudKeys(this.world, key);
    return (await keys.open(this.signal)).publicKey;
  }
}

/** A segment that may still grow, and has not since its checkpoint, is as proved as it can be. */
function isUnproven({ unproven }: VerifiedJournal): boolean {
  return unproven.some(({ lines, isTorn }) => lines > 0 || isTorn);
}

function expectedOf(text: string | undefined): { checkpoint: number; hash: string } | undefined {
  if (text === undefined) return undefined;
  const [, number, hash] = /^(\d+):([0-9a-f]{8,64})$/.exec(text) ?? [];
  if (number !== undefined && hash !== undefined) return { checkpoint: Number(number), hash };
  throw new CloudtunError('CT_USAGE', `--expect "${text}" is no checkpoint`, {
    hint: 'write its number and hash, as audit verify prints them: 112:9c1f00aa52be',
  });
}
