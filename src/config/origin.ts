import { PROVIDER_IDS } from '../domain/target.ts';
import type { Environment } from '../runtime/world.ts';
import type { Catalogue } from './catalogue.ts';
import type { FoundFile } from './load.ts';
import { DEFAULT_SETTINGS } from './tunnel-settings.ts';

/** A setting, and who says it. */
export interface SettingOrigin {
  readonly key: string;
  readonly value: string;
  /** `CLOUDTUN_TTL`, `cloudtun.yaml:3:5`, `default` */
  readonly origin: string;
}

/** The settings of every tunnel, and the variable that each has. */
const SETTINGS = {
  ttl: 'CLOUDTUN_TTL',
  idle: 'CLOUDTUN_IDLE',
  grace: 'CLOUDTUN_GRACE',
  bind: 'CLOUDTUN_BIND',
  maxBytes: 'CLOUDTUN_MAX_BYTES',
  sessions: 'CLOUDTUN_SESSIONS',
  profile: 'CLOUDTUN_PROFILE',
  region: 'CLOUDTUN_REGION',
  project: 'CLOUDTUN_PROJECT',
  zone: 'CLOUDTUN_ZONE',
} as const;

/** Of a target alone: what it is, and how it is used. */
const OF_TARGET = [
  ...PROVIDER_IDS,
  'rds',
  'sql',
  'port',
  'user',
  'via',
  'iamAuth',
  'dbName',
  'secret',
  'tls',
  'hostPort',
  'host',
] as const;

type Files = readonly FoundFile[];

/**
 * What holds for every tunnel, or for one target, with where each value comes from: environment over project over user over default (a
 * flag beats them all).
 *
 * @param files the stronger first
 * @param target a name of the catalogue
 */
export function settingOrigins(files: Files, env: Environment, target?: string): readonly SettingOrigin[] {
  const general = (Object.keys(SETTINGS) as (keyof typeof SETTINGS)[]).flatMap((key): readonly SettingOrigin[] => {
    const variable = SETTINGS[key];
    const fromEnv = env[variable];
    if (fromEnv !== undefined && fromEnv !== '') return [{ key, value: fromEnv, origin: variable }];
    const said =
      (target === undefined ? undefined : find(files, ['targets', target, key], ofTarget(target, key))) ??
      find(files, ['defaults', key], ({ defaults }) => defaults?.[key]);
    if (said) return [{ key, ...said }];
    const value = DEFAULT_SETTINGS[key as keyof typeof DEFAULT_SETTINGS];
    return value === undefined ? [] : [{ key, value, origin: 'default' }];
  });
  if (target === undefined) return general;
  const own = OF_TARGET.flatMap((key): readonly SettingOrigin[] => {
    const said = find(files, ['targets', target, key], ofTarget(target, key));
    return said ? [{ key, ...said }] : [];
  });
  return [...own, ...general];
}

/** The targets and groups of a catalogue, and where each stands. */
export function nameOrigins(catalogue: Catalogue, files: Files): readonly SettingOrigin[] {
  const targets = [...catalogue.targets.values()].map(({ name, kind, place }) => {
    return { key: name, value: kind, origin: `${place.file}:${place.line}:${place.column}` };
  });
  const groups = [...catalogue.groups].map(([key, members]) => {
    const said = find(files, ['groups', key], ({ groups: all }) => all?.[key]);
    return { key, value: `group of ${members.join(', ')}`, origin: said?.origin ?? '' };
  });
  return [...targets, ...groups];
}

type Data = FoundFile['parsed']['data'];

/** An entry is replaced whole by the stronger file, so only the file that has the entry is asked. */
function ofTarget(target: string, key: string): (data: Data) => unknown {
  return ({ targets }) => (targets?.[target] as Readonly<Record<string, unknown>> | undefined)?.[key];
}

function find(
  files: Files,
  path: readonly string[],
  valueIn: (data: Data) => unknown,
): { readonly value: string; readonly origin: string } | undefined {
  const [section, name] = path;
  for (const { parsed } of files) {
    const value = valueIn(parsed.data);
    if (value !== undefined) {
      const { file, line, column } = parsed.placeOf(path);
      return { value: shown(value), origin: `${file}:${line}:${column}` };
    }
    if (section === 'targets' && parsed.data.targets?.[name!] !== undefined) return undefined;
  }
  return undefined;
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return value.join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
