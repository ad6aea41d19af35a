import { createHash } from 'node:crypto';
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { World } from '../../runtime/world.ts';
import { SERVER_VERSION } from './mysql-catalog.ts';

/** What MySQL's functions about the session tell. */
export interface SessionFacts {
  readonly id: number;
  /** `app_reader@127.0.0.1` */
  readonly user: string;
  readonly database: string | undefined;
}

type Value = SQLInputValue;
const text = (value: Value) => (value instanceof Uint8Array ? Buffer.from(value).toString() : String(value));
/** Most of MySQL's functions give NULL as soon as an argument is NULL. */
const strict =
  (call: (...values: Value[]) => Value) =>
  (...values: Value[]): Value =>
    values.includes(null) ? null : call(...values);

const datetime = (instant: number) => new Date(instant).toISOString().slice(0, 19).replace('T', ' ');
const part = (from: number, to: number) => strict((value) => Number(text(value!).slice(from, to)) || 0);

const FORMATS: Readonly<Record<string, string>> = {
  Y: '$1',
  y: '$7',
  m: '$2',
  d: '$3',
  H: '$4',
  i: '$5',
  s: '$6',
  T: '$4:$5:$6',
  '%': '%',
};

function formatDate(value: Value, format: Value): Value {
  const found = /^\d\d(\d\d)-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d))?/.exec(text(value));
  if (!found) return null;
  const [whole, year = '', month = '', day = '', hour = '00', minute = '00', second = '00'] = found;
  const fields = [whole, whole.slice(0, 4), month, day, hour, minute, second, year];
  return text(format).replace(/%(.)/g, (_, letter: string) =>
    (FORMATS[letter] ?? letter).replace(/\$(\d)/g, (__, index: string) => fields[Number(index)] ?? ''),
  );
}

/** Functions of MySQL that SQLite lacks or spells otherwise: those people type to look around, and a few for text and dates. */
export function addMysqlFunctions(database: DatabaseSync, world: World, session: () => SessionFacts): void {
  const now = () => datetime(world.clock.wall());
  const functions: Readonly<Record<string, (...values: Value[]) => Value>> = {
    version: () => SERVER_VERSION,
    database: () => session().database ?? null,
    schema: () => session().database ?? null,
    user: () => session().user,
    current_user: () => session().user,
    session_user: () => session().user,
    connection_id: () => session().id,
    now,
    sysdate: now,
    utc_timestamp: now,
    curdate: () => now().slice(0, 10),
    curtime: () => now().slice(11),
    uuid: () => world.random.uuid(),
    rand: () => world.random.fraction(),
    concat: strict((...values) => values.map(text).join('')),
    left: strict((value, count) => text(value!).slice(0, Math.max(0, Number(count)))),
    right: strict((value, count) => text(value!).slice(-Math.max(0, Number(count)) || text(value!).length)),
    lcase: strict((value) => text(value!).toLowerCase()),
    ucase: strict((value) => text(value!).toUpperCase()),
    char_length: strict((value) => [...text(value!)].length),
    md5: strict((value) => createHash('md5').update(text(value!)).digest('hex')),
    sha1: strict((value) => createHash('sha1').update(text(value!)).digest('hex')),
    year: part(0, 4),
    month: part(5, 7),
    day: part(8, 10),
    dayofmonth: part(8, 10),
    hour: part(11, 13),
    minute: part(14, 16),
    date_format: strict(formatDate),
    unix_timestamp: (value) =>
      Math.floor((value === undefined ? world.clock.wall() : Date.parse(`${text(value).replace(' ', 'T')}Z`)) / 1_000),
  };
  for (const [name, call] of Object.entries(functions)) {
    database.function(name, { varargs: true }, (...values) => {
      const result = call(...values);
      // A JavaScript number would arrive as a floating point number, whatever its value.
      return typeof result === 'number' && Number.isInteger(result) ? BigInt(result) : result;
    });
  }
}
