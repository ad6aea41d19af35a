/** (k) From the key that completes to the names, in a catalogue of 1,000 targets, beside what Node needs to start. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Figure, median } from './figures.ts';

const BIN = fileURLToPath(new URL('../../bin/run.js', import.meta.url));
const TARGETS = 1_000;
const LIMIT_MS = 200;

function timed(args: readonly string[], cwd: string): { readonly ms: number; readonly stdout: string } {
  const began = performance.now();
  const { stdout } = spawnSync(process.execPath, args, {
    cwd,
    env: { PATH: process.env.PATH, HOME: cwd },
    encoding: 'utf8',
  });
  return { ms: performance.now() - began, stdout };
}

export function completion(rounds: number): Figure[] {
  const folder = mkdtempSync(join(tmpdir(), 'cloudtun-bench-'));
  try {
    const targets = Array.from({ length: TARGETS }, (_, index) => `  db-${index}: { rds: db-${index} }`);
    writeFileSync(join(folder, 'cloudtun.yaml'), `version: 1\ntargets:\n${targets.join('\n')}\n`);
    const floors: number[] = [];
    const times: number[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      const floor = timed(['-e', '0'], folder);
      const { ms, stdout } = timed([BIN, '__complete', 'bash', 'cloudtun rds db-99'], folder);
      if (stdout.trim().split('\n').length !== 11) throw new Error(`not the names that were asked for: ${stdout}`);
      // The first round fills disk and compile cache.
      if (round === 0) continue;
      floors.push(floor.ms);
      times.push(ms);
    }
    const name = `completion of ${TARGETS} names`;
    const against = { name: 'node -e', value: median(floors) };
    const bound = { kind: 'at-most', limit: LIMIT_MS, of: 'value' } as const;
    return [{ group: 'k', name, unit: 'ms', value: median(times), against, bound }];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
