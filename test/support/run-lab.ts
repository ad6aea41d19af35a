/** What `lab up --foreground` is, without the CLI: runs the lab until SIGTERM, in the directories that the environment names. */
import { runLab } from '../../src/lab/lab-daemon.ts';
import { systemWorld } from '../../src/runtime/world.ts';

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
if (process.argv[2] === 'fail') {
  process.stderr.write('error CT_LAB_FAILED: told to fail\n');
  process.exit(6);
}
await runLab(systemWorld(), { signal: stop.signal });
