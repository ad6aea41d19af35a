import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from './world.ts';

/** Directories of the XDG base directory specification, cloudtun's own part of each. None of them need exist. */
export interface Paths {
  readonly home: string;
  readonly config: string;
  readonly state: string;
  readonly cache: string;
}

export function xdgPaths(env: Environment): Paths {
  const home = env.HOME ?? homedir();
  const base = (variable: string, fallback: string) => {
    const value = env[variable];
    // The specification says that a relative path is to be ignored.
    return join(value?.startsWith('/') ? value : join(home, fallback), 'cloudtun');
  };
  return {
    home,
    config: base('XDG_CONFIG_HOME', '.config'),
    state: base('XDG_STATE_HOME', '.local/state'),
    cache: base('XDG_CACHE_HOME', '.cache'),
  };
}
