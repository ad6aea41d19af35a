import type { AuditFeed, CloudRecord, FeedReading } from '../../domain/audit-feed.ts';
import { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { isoTime } from '../../runtime/iso-time.ts';
import type { World } from '../../runtime/world.ts';
import { cloudAuditReader, instanceOf, readEntry } from './audit-reader.ts';
import { type GcpApi, path } from './gcp-api.ts';

/** "logging/quotas": 60 reads a minute of a project. */
const PACE: Millis = 1_000;
const PAGE = 1_000;
const MOST_PAGES = 500;
/** Machines whose names are looked up; connections to more are told by zone and port. */
const MOST_NAMES = 200;

interface EntriesPage {
  readonly entries?: readonly unknown[];
  readonly nextPageToken?: string;
}

/** The Data Access logs of some projects. */
export class CloudAuditFeed implements AuditFeed {
  readonly reader = cloudAuditReader;
  readonly #world: World;
  readonly #api: GcpApi;

  constructor(world: World, api: GcpApi) {
    this.#world = world;
    this.#api = api;
  }

  async look(since: Millis, told: (count: number) => void, signal: AbortSignal): Promise<FeedReading> {
    const projects = await this.#api.projects(signal);
    const records: CloudRecord[] = [];
    for (const project of projects) {
      const before = records.length;
      const entries = await this.#entries(project, since, (count) => told(before + count), signal);
      const names = await this.#names(project, entries, signal);
      for (const entry of entries) {
        const record = readEntry(entry, names);
        // As it was asked for: a project may be named by its number, and entries have its name.
        if (record !== undefined) records.push({ ...record, scope: project });
      }
    }
    return { records, scopes: projects };
  }

  async #entries(project: string, since: Millis, told: (count: number) => void, signal: AbortSignal) {
    const log = `projects/${project}/logs/cloudaudit.googleapis.com%2Fdata_access`;
    const filter = [
      `logName="${log}"`,
      'protoPayload.serviceName="iap.googleapis.com"',
      'protoPayload.methodName="AuthorizeUser"',
      `timestamp>="${isoTime(since)}"`,
    ].join(' AND ');
    const call = {
      permission: 'logging.privateLogEntries.list',
      resource: `project ${project}`,
      doing: `read the Data Access log of ${project}`,
      role: 'roles/logging.privateLogViewer',
    };
    const entries: unknown[] = [];
    let pageToken: string | undefined;
    for (let page = 0; page < MOST_PAGES; page += 1) {
      if (page > 0) await this.#world.clock.sleep(PACE, signal);
      const body = {
        resourceNames: [`projects/${project}`],
        filter,
        orderBy: 'timestamp asc',
        pageSize: PAGE,
        ...(pageToken !== undefined && { pageToken }),
      };
      const request = { service: 'logging', path: '/v2/entries:list', method: 'POST', body } as const;
      const answer = await this.#api.call<EntriesPage>(request, call, signal);
      entries.push(...(answer.entries ?? []));
      told(entries.length);
      pageToken = answer.nextPageToken || undefined;
      if (pageToken === undefined) return entries;
    }
    throw new CloudtunError('CT_SERVICE', `${project} has more than ${MOST_PAGES * PAGE} connections of this time`, {
      hint: 'narrow it with --since, or read an export: --from FILE',
    });
  }

  /** Whoever may read logs need not be allowed to read machines, and one that was deleted has no name any more. */
  async #names(
    project: string,
    entries: readonly unknown[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, string>> {
    const machines = new Map(
      entries.flatMap((entry) => instanceOf(entry) ?? []).map(({ zone, number }) => [number, zone] as const),
    );
    const names = new Map<string, string>();
    for (const [number, zone] of [...machines].slice(0, MOST_NAMES)) {
      const call = {
        permission: 'compute.instances.get',
        resource: `instance ${number}`,
        doing: `look up the machine ${number}`,
      };
      const request = {
        service: 'compute',
        path: path`/v1/projects/${project}/zones/${zone}/instances/${number}`,
      } as const;
      try {
        const { name } = await this.#api.call<{ readonly name?: string }>(request, call, signal);
        if (name !== undefined) names.set(number, name);
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof CloudtunError && error.code === 'CT_DENIED') break;
      }
    }
    return names;
  }
}
