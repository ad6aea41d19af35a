import type { LogEntry } from '../audit-log.ts';
import type { WrittenEntry } from '../written-log.ts';
import { faults } from './google-fault.ts';
import { parseLogFilter } from './log-filter.ts';
import type { GcpApiContext, GcpOperation } from './operation.ts';

const PAGE = 1_000;

/** "logging/quotas". */
const MAX_ENTRY_BYTES = 262_144;

/** Cloud Logging (v2): entries:list for the audit logs, entries:write and what was written. */
export function loggingApi(context: GcpApiContext): readonly GcpOperation[] {
  return [
    {
      method: 'POST',
      path: /^\/logging\/v2\/entries:write$/,
      action: 'logging.entries.write',
      service: 'logging.googleapis.com',
      run: ({ body, caller }) => {
        const { entries, logName } = body ?? {};
        if (!Array.isArray(entries) || entries.length === 0) throw faults.invalid('entries must not be empty.');
        const read = entries.map((entry: unknown) => readEntry(entry, String(logName ?? '')));
        for (const { log } of read) {
          const project = /^projects\/[^/]+/.exec(log)?.[0];
          if (project === undefined) throw faults.invalid(`Invalid log name ${log}.`);
          if (!context.iam.may(caller.email, 'logging.logEntries.create', project))
            throw faults.denied('logging.logEntries.create', project);
        }
        for (const entry of read) context.written.add(entry);
        return {};
      },
    },
    {
      method: 'POST',
      path: /^\/logging\/v2\/entries:list$/,
      action: 'logging.entries.list',
      service: 'logging.googleapis.com',
      run: ({ body, caller }) => {
        const names = body?.resourceNames;
        if (!Array.isArray(names) || names.length === 0) throw faults.invalid('resource_names must not be empty.');
        for (const name of names) {
          const project = /^projects\/[^/]+/.exec(String(name))?.[0];
          if (project === undefined) throw faults.invalid(`Invalid resource name ${String(name)}.`);
          // Data Access logs are private: reading them takes a permission of its own.
          if (!context.iam.may(caller.email, 'logging.privateLogEntries.list', project)) {
            throw faults.denied('logging.logEntries.list', project);
          }
        }
        const filter = parseLogFilter(typeof body?.filter === 'string' ? body.filter : '');
        if (typeof filter === 'string') throw faults.invalid(filter);
        const ids = new Set(names.map((name) => context.iam.canonical(String(name)).split('/')[1]));
        const isWanted = (entry: LogEntry) => ids.has(entry.logName.split('/')[1]) && filter(entry);
        const newest = context.audit.events
          .visible(context.world.clock.wall())
          .map(({ event }) => event)
          .filter(isWanted);
        const ordered = body?.orderBy === 'timestamp desc' ? newest : newest.toReversed();
        const from = Number(typeof body?.pageToken === 'string' ? body.pageToken.replace(/^lab-/, '') : 0) || 0;
        const asked = typeof body?.pageSize === 'number' && body.pageSize > 0 ? body.pageSize : PAGE;
        const size = Math.min(asked, PAGE, context.pageLimit);
        const entries = ordered.slice(from, from + size);
        const end = from + entries.length;
        return {
          ...(entries.length === 0 ? {} : { entries }),
          ...(end < ordered.length ? { nextPageToken: `lab-${end}` } : {}),
        };
      },
    },
  ];
}

function readEntry(value: unknown, usual: string): WrittenEntry {
  const entry = (typeof value === 'object' && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  const { insertId, timestamp, jsonPayload, logName = usual } = entry;
  if (typeof logName !== 'string' || !/^projects\/[^/]+\/logs\/[A-Za-z0-9%._-]+$/.test(logName))
    throw faults.invalid(`Log name contains illegal character or is missing: ${String(logName)}`);
  if (JSON.stringify(entry).length > MAX_ENTRY_BYTES)
    throw faults.invalid(`Log entry with size exceeds maximum size of ${MAX_ENTRY_BYTES}`);
  if (typeof timestamp !== 'string' || Number.isNaN(Date.parse(timestamp))) throw faults.invalid('Invalid timestamp.');
  return { log: logName, insertId: String(insertId ?? ''), timestamp, payload: jsonPayload };
}
