/** Node's own SQLite. */
export type Sqlite = typeof import('node:sqlite');

/**
 * `node:sqlite`, without the warning that it is experimental: it would be the first line a newcomer reads from the lab. Node says it
 * once, when the module is first loaded, and says it synchronously; every other warning passes.
 */
export function loadSqlite(): Sqlite {
  const emitWarning = process.emitWarning;
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    if (!(rest[0] === 'ExperimentalWarning' && String(warning).includes('SQLite'))) {
      Reflect.apply(emitWarning, process, [warning, ...rest]);
    }
  };
  try {
    return process.getBuiltinModule('node:sqlite');
  } finally {
    process.emitWarning = emitWarning;
  }
}
