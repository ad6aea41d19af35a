import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { RecordFile } from '../audit/read-record-files.ts';
import { auditReaders, composeProviders } from '../compose.ts';
import type { Selection } from '../config/tunnel-settings.ts';
import type { AuditReader, CloudRecord } from '../domain/audit-feed.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { PROVIDER_IDS, type ProviderId } from '../domain/target.ts';
import type { Prompts } from '../providers/provider.ts';
import type { World } from '../runtime/world.ts';

/** Records of one cloud. */
export interface RecordSource {
  /** For people. */
  readonly label: string;
  readonly reader: AuditReader;
  readonly records: readonly CloudRecord[];
  readonly scopes: ReadonlySet<string>;
  /** Complete from then on. */
  readonly from: Millis;
  /** And until then; undefined: until now. */
  readonly to: Millis | undefined;
  /** Who asked, where somebody did. */
  readonly asker?: string;
}

/** What `--from` names: clouds to ask, and files to read. @throws CT_USAGE for what is neither */
export function recordPlaces(
  world: World,
  from: readonly string[],
): { readonly clouds: readonly ProviderId[]; readonly files: readonly string[] } {
  const clouds = PROVIDER_IDS.filter((id) => from.includes(id));
  const files = from.filter((text) => !clouds.some((id) => id === text)).map((text) => resolve(world.cwd, text));
  const unknown = files.find((path) => statSync(path, { throwIfNoEntry: false }) === undefined);
  if (unknown === undefined) return { clouds, files };
  throw new CloudtunError('CT_USAGE', `--from ${unknown} is neither a cloud nor a file`, {
    hint: `write ${PROVIDER_IDS.join(', ')}, or files or directories with the cloud's records`,
  });
}

/**
 * Asks one cloud.
 *
 * @param margin how much earlier than `since` is read as well, so that what lies on the border is not missed
 * @throws CT_DENIED, CT_NO_CREDENTIALS …; CT_USAGE for a cloud that has no records to be asked for
 */
export async function askCloud(
  world: World,
  question: {
    readonly cloud: ProviderId;
    readonly said: Selection;
    readonly since: Millis | undefined;
    readonly margin: Millis;
    readonly wantsAsker: boolean;
  },
  { prompts, told, signal }: { prompts: Prompts; told: (count: number) => void; signal: AbortSignal },
): Promise<RecordSource> {
  const { cloud, said, since, margin, wantsAsker } = question;
  await using set = await composeProviders(world, { cloud, said, selection: said }, prompts);
  const provider = set.providers[0]!;
  const feed = await provider.auditFeed?.();
  if (feed === undefined) {
    throw new CloudtunError('CT_USAGE', `${provider.label} keeps no record of tunnels that could be asked for`, {
      hint: 'name files with its records instead: --from FILE',
    });
  }
  const reach = feed.reach === undefined ? Number.NEGATIVE_INFINITY : world.clock.wall() - feed.reach;
  const from = Math.max(since ?? 0, reach);
  if (since !== undefined && since < reach)
    world.log.warn(
      `${feed.reader.label} can be asked for ${(feed.reach ?? 0) / 86_400_000} days only; older records are in the files of a trail`,
    );
  const [asker, { records, scopes }] = await Promise.all([
    wantsAsker ? provider.gatekeeper.whoami(signal) : undefined,
    feed.look(Math.max(0, from - margin, reach), told, signal),
  ]);
  return {
    label: provider.label,
    reader: feed.reader,
    records,
    scopes: new Set(scopes),
    from,
    to: undefined,
    ...(asker !== undefined && { asker: asker.id }),
  };
}

/**
 * The records in files, cloud by cloud.
 *
 * @throws CT_STATE for files that cannot be read, or have no records of any cloud
 */
export async function recordsOfFiles(
  paths: readonly string[],
  read: (paths: readonly string[]) => Iterable<RecordFile>,
  since: Millis | undefined,
): Promise<readonly RecordSource[]> {
  const known = (await auditReaders()).map(({ reader }) => ({ reader, records: [] as CloudRecord[], files: 0 }));
  for (const { values } of read(paths)) {
    for (const each of known) {
      const found = values.flatMap((value) => each.reader.read(value) ?? []);
      for (const record of found) each.records.push(record);
      if (found.length > 0) each.files += 1;
    }
  }
  const sources = known.filter(({ records }) => records.length > 0);
  if (sources.length === 0) {
    throw new CloudtunError('CT_STATE', `no record of any cloud in ${paths.join(', ')}`, {
      hint: `read are records of ${known.map(({ reader }) => reader.label).join(' and ')}, in JSON or JSON lines, also packed with gzip`,
    });
  }
  return sources.map(({ reader, records, files }) => {
    const { from, to } = spanOf(records);
    return {
      label: `${files} file${files === 1 ? '' : 's'}`,
      reader,
      records,
      scopes: new Set(records.map(({ scope }) => scope)),
      from: Math.max(since ?? 0, from),
      to,
    };
  });
}

function spanOf(records: readonly CloudRecord[]): { readonly from: Millis; readonly to: Millis } {
  let [from, to] = [Number.POSITIVE_INFINITY, 0];
  for (const { at } of records) {
    from = Math.min(from, at);
    to = Math.max(to, at);
  }
  return { from, to };
}
