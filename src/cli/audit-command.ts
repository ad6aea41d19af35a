import { resolve } from 'node:path';
import { Args, Flags } from '@oclif/core';
import type { LineFilter } from '../audit/core/line-selection.ts';
import { journalPlace } from '../audit/journal-place.ts';
import { journalSettings } from '../config/journal-settings.ts';
import { loadCatalogue } from '../config/load.ts';
import { parseDuration } from '../domain/duration.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { parseIsoTime } from '../runtime/iso-time.ts';
import { BaseCommand } from './base-command.ts';

/** Another journal than this machine's own. */
export const JOURNAL_ARGUMENT = {
  journal: Args.string({
    description: 'a directory with segments, or one file; else where cloudtun.yaml or CLOUDTUN_JOURNAL say',
    ignoreStdin: true,
  }),
};

/** Which lines are wanted. */
export const LINE_FLAGS = {
  person: Flags.string({
    description: 'of this person: a name, a whole id, or what is before the @; may be repeated',
    env: 'CLOUDTUN_PERSON',
    helpValue: 'NAME',
    multiple: true,
    multipleNonGreedy: true,
  }),
  target: Flags.string({
    description: 'of tunnels to this target or through this machine; may be repeated',
    env: 'CLOUDTUN_TARGET',
    helpValue: 'NAME',
    multiple: true,
    multipleNonGreedy: true,
  }),
  tunnel: Flags.string({
    description: 'of this tunnel: the beginning of its id, as audit show has it; may be repeated',
    env: 'CLOUDTUN_TUNNEL',
    helpValue: 'ID',
    multiple: true,
    multipleNonGreedy: true,
  }),
  event: Flags.string({
    description: 'of this kind: open, client, denial, command, end …; may be repeated',
    env: 'CLOUDTUN_EVENT',
    helpValue: 'EVENT',
    multiple: true,
    multipleNonGreedy: true,
  }),
};

/** `--since`. @param usual what holds without it, in words */
export function sinceFlag(usual: string) {
  return Flags.string({
    description: `not older than this: a time back (1d), a date (2026-11-01) or none for all (default: ${usual})`,
    env: 'CLOUDTUN_SINCE',
    helpValue: 'TIME',
  });
}

/** What `LINE_FLAGS` are parsed to. */
export interface LineWishes {
  readonly person?: readonly string[] | undefined;
  readonly target?: readonly string[] | undefined;
  readonly tunnel?: readonly string[] | undefined;
  readonly event?: readonly string[] | undefined;
}

/** A command that reads a journal. */
export abstract class AuditCommand extends BaseCommand {
  /** @throws CT_CONFIG where the catalogue, which may name it, cannot be read */
  protected async journalPath(named: string | undefined): Promise<string> {
    if (named !== undefined) return resolve(this.world.cwd, named);
    const { configured } = journalSettings(await loadCatalogue(this.world));
    return journalPlace(this.world, configured).path;
  }

  protected filterOf(flags: LineWishes, since: Millis | undefined): LineFilter {
    return { since, persons: flags.person, targets: flags.target, tunnels: flags.tunnel, events: flags.event };
  }

  /** Wall clock. @throws CT_USAGE */
  protected sinceOf(text: string): Millis | undefined {
    if (/^\d{4}-/.test(text)) {
      const time = parseIsoTime(text);
      if (time !== undefined) return time;
      throw new CloudtunError('CT_USAGE', `--since "${text}" is no date`, {
        hint: 'write 2026-11-01, 2026-11-01T08:00:00Z, or a time back such as 8h or 30d',
      });
    }
    const back = parseDuration(text, '--since');
    return back === undefined ? undefined : this.world.clock.wall() - back;
  }
}
