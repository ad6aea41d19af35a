import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base-command.ts';
import { printable } from '../../cli/present/printable.ts';
import { plural } from '../../cli/present/tunnel-lines.ts';
import { cloudLogs } from '../../compose.ts';
import { journalSettings, type SinkSettings } from '../../config/journal-settings.ts';
import { loadCatalogue } from '../../config/load.ts';
import { formatDuration } from '../../domain/duration.ts';
import { isoTime } from '../../runtime/iso-time.ts';

/** One sink of `audit sinks --json`. */
interface SinkJson {
  readonly sink: string;
  /** Lines that are not there yet, and the time of the first of them. */
  readonly waiting: number;
  readonly waitingSince?: string;
  readonly delivered: number;
  /** Never taken: too old or too large for the service. */
  readonly refused: number;
  readonly deliveredAt?: string;
  readonly failingSince?: string;
  readonly code?: string;
  readonly message?: string;
  /** Segments that were removed before they were sent whole. */
  readonly missed: readonly string[];
}

export default class AuditSinks extends BaseCommand {
  static override summary = 'how far the journal has come at the log services it is sent to';
  static override description =
    'Sinks are named in cloudtun.yaml (audit.sinks). What was recorded while one was down waits in the journal and is sent in order by the ' +
    'next command that records something, by the supervisor, or now with --deliver. Ends with the exit code of the first sink that failed.';
  static override examples = ['<%= config.bin %> audit sinks', '<%= config.bin %> audit sinks --deliver   # for cron'];
  static override flags = {
    deliver: Flags.boolean({ description: 'send what waits, now', env: 'CLOUDTUN_DELIVER' }),
  };

  async run(): Promise<readonly SinkJson[]> {
    const { flags } = await this.parse(AuditSinks);
    const settings = journalSettings(await loadCatalogue(this.world));
    const { sinks = [] } = settings;
    if (sinks.length === 0) {
      this.terminal.note('cloudtun.yaml names no sinks: the journal stays on this machine (audit.sinks)');
      return [];
    }
    const { journalPlace } = await import('../../audit/journal-place.ts');
    const { path } = journalPlace(this.world, settings.configured);
    if (flags.deliver) {
      const { deliverSinks } = await import('../../audit/deliver-sinks.ts');
      await using logs = cloudLogs(this.world, sinks);
      this.terminal.progress('sending ...');
      const results = await deliverSinks(this.world, path, logs.sinks, this.signal, true);
      this.terminal.settle();
      this.signal.throwIfAborted();
      const failed = results.flatMap(({ delivery }) => (delivery.outcome === 'failed' ? [delivery.error] : []));
      if (failed[0] !== undefined) this.endWith(failed[0].exitCode);
    }
    const found = await Promise.all(sinks.map((sink) => this.#state(path, sink)));
    if (!this.jsonEnabled()) for (const line of found.flatMap((each) => this.#lines(each))) this.terminal.result(line);
    return found;
  }

  async #state(path: string, { name }: SinkSettings): Promise<SinkJson> {
    const [{ waitingFor }, { readSinkState }] = await Promise.all([
      import('../../audit/deliver-journal.ts'),
      import('../../audit/sink-state.ts'),
    ]);
    const { delivered, refused, deliveredAt, failing, missed } = readSinkState(this.world, name);
    const { lines, since } = waitingFor(this.world, path, name);
    return {
      sink: name,
      waiting: lines,
      ...(since !== undefined && { waitingSince: isoTime(since) }),
      delivered,
      refused,
      ...(deliveredAt !== undefined && { deliveredAt: isoTime(deliveredAt) }),
      ...(failing && { failingSince: isoTime(failing.since), code: failing.code, message: failing.message }),
      missed,
    };
  }

  #lines(each: SinkJson): readonly string[] {
    const { sink, waiting, waitingSince, delivered, refused, failingSince, code, message, missed } = each;
    const now = this.world.clock.wall();
    const age = (time: string) => formatDuration(Math.max(1_000, Math.round((now - Date.parse(time)) / 1_000) * 1_000));
    const wait = waiting === 0 ? 'nothing waits' : `${plural(waiting, 'line')} wait${waiting === 1 ? 's' : ''}`;
    const old = waitingSince === undefined ? '' : `, the oldest for ${age(waitingSince)}`;
    return [
      `${failingSince === undefined ? 'ok  ' : 'FAIL'}  ${sink}: ${delivered} sent, ${wait}${old}`,
      ...(failingSince === undefined ? [] : [`        for ${age(failingSince)}: ${message} (${code})`]),
      ...(refused > 0
        ? [`        ${plural(refused, 'line')} refused by the service for good: too old, or too large`]
        : []),
      ...missed.map((segment) => `        ${segment} was removed before all of it was sent`),
    ].map(printable);
  }
}
