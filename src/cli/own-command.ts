import { realpathSync } from 'node:fs';

/** What starts this cloudtun again, whatever PATH says then: the Node that runs it, and its own entry. */
export function ownCommand(): readonly string[] {
  return [process.execPath, realpathSync(process.argv[1]!)];
}
