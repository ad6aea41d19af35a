import type { CloudLog, LogLine } from '../../domain/cloud-log.ts';
import { isoTime } from '../../runtime/iso-time.ts';
import type { GcpApi } from './gcp-api.ts';
import { refusalBehind } from './gcp-errors.ts';

/** "logging/quotas": 10 MB of one call; fewer lines make an answer that comes in time. */
const LIMITS = { lines: 1_000, byteCount: 4_194_304 } as const;

/** A log of Cloud Logging. Lines with the same insert id and time are kept once. */
export class CloudLoggingLog implements CloudLog {
  readonly limits = LIMITS;
  readonly #api: GcpApi;
  readonly #log: string;
  readonly #labels: Readonly<Record<string, string>>;

  /** @param host told with each line */
  constructor(api: GcpApi, log: string, host: string) {
    this.#api = api;
    this.#log = log;
    this.#labels = { host };
  }

  async send(lines: readonly LogLine[], signal: AbortSignal): Promise<{ readonly refused: number }> {
    const [project = ''] = await this.#api.projects(signal);
    const call = {
      permission: 'logging.logEntries.create',
      resource: `project ${project}`,
      doing: `write to the log ${this.#log} of ${project}`,
      role: 'roles/logging.logWriter',
    };
    const body = {
      logName: `projects/${project}/logs/${encodeURIComponent(this.#log)}`,
      resource: { type: 'global', labels: { project_id: project } },
      labels: this.#labels,
      entries: lines.map(({ id, at, event }) => ({ insertId: id, timestamp: isoTime(at), jsonPayload: event })),
    };
    try {
      await this.#api.call({ service: 'logging', path: '/v2/entries:write', method: 'POST', body }, call, signal);
      return { refused: 0 };
    } catch (error) {
      if (refusalBehind(error)?.status !== 400 || signal.aborted) throw error;
      if (lines.length === 1) return { refused: 1 };
      // Which ones it does not take is found by halves: those of a half that were taken already are known by their ids.
      const half = lines.length >> 1;
      const first = await this.send(lines.slice(0, half), signal);
      const second = await this.send(lines.slice(half), signal);
      const refused = first.refused + second.refused;
      // Not one: then it is the log that is wrong, and not its lines.
      if (refused === lines.length) throw error;
      return { refused };
    }
  }
}
