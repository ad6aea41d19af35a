/** Lines for people who ask with `-v`; never results, never secrets. */
export interface Log {
  /** 0 silent, 1 `-v`, 2 `-vv`. */
  readonly level: number;
  info(message: string): void;
  debug(message: string): void;
  /** Shown always, unless `--quiet`. */
  warn(message: string): void;
}

export function streamLog(write: (line: string) => void, level: number, quiet = false): Log {
  return {
    level,
    info: (message) => {
      if (level >= 1) write(message);
    },
    debug: (message) => {
      if (level >= 2) write(message);
    },
    warn: (message) => {
      if (!quiet) write(`warning: ${message}`);
    },
  };
}

export const silentLog: Log = { level: 0, info: () => {}, debug: () => {}, warn: () => {} };
