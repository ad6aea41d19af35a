import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { CloudtunError, systemCode } from '../domain/errors.ts';

/** What one file may hold when it is unpacked (guessed: a day of a large account is a tenth). */
const FILE_LIMIT = 268_435_456;

/** Under these names lists of records are found: as S3 has them, as `lookup-events` and `entries:list` answer. */
const LISTS = ['Records', 'Events', 'entries'] as const;

export interface RecordFile {
  readonly path: string;
  readonly values: readonly unknown[];
}

/**
 * The records in files of JSON, of JSON lines, or of either packed with gzip. Of a directory every `.json`, `.jsonl` and `.gz` in it and
 * below, as a bucket is copied.
 *
 * @throws CT_STATE for a file that cannot be read or is no JSON, with the line
 */
export function* readRecordFiles(paths: readonly string[]): Generator<RecordFile> {
  for (const path of paths.flatMap(filesAt)) yield { path, values: recordsOf(path, textOf(path)) };
}

function filesAt(path: string): readonly string[] {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [path];
  const found = readdirSync(path, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile() && /\.(json|jsonl|gz)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function textOf(path: string): string {
  try {
    const bytes = readFileSync(path);
    const isPacked = bytes[0] === 0x1f && bytes[1] === 0x8b;
    return (isPacked ? gunzipSync(bytes, { maxOutputLength: FILE_LIMIT }) : bytes).toString('utf8');
  } catch (cause) {
    const code = systemCode(cause);
    const why =
      code === 'ENOENT'
        ? 'does not exist'
        : code === 'ERR_BUFFER_TOO_LARGE'
          ? `holds more than ${FILE_LIMIT >> 20} MiB`
          : `cannot be read (${code ?? 'damaged'})`;
    const hint = code === 'ERR_BUFFER_TOO_LARGE' ? 'divide it: several files may be given' : undefined;
    throw new CloudtunError('CT_STATE', `${path} ${why}`, { cause, ...(hint && { hint }) });
  }
}

function recordsOf(path: string, text: string): readonly unknown[] {
  const whole = parsed(text);
  if (whole !== undefined) return listIn(whole.value);
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const one = parsed(line);
    if (one !== undefined) return listIn(one.value);
    throw new CloudtunError('CT_STATE', `${path}:${index + 1} is no JSON`, {
      hint: 'files of CloudTrail as S3 has them, and exports of Cloud Logging in JSON, can be read',
    });
  });
}

function listIn(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value !== 'object' || value === null) return [];
  const lists = LISTS.map((name) => (value as Readonly<Record<string, unknown>>)[name]);
  return lists.find((list) => Array.isArray(list)) ?? [value];
}

function parsed(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
