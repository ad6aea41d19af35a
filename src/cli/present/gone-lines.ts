import type { StateRecord } from '../../supervisor/state-record.ts';
import { printable } from './printable.ts';

/** What a supervisor that was killed held, and how to have it back. */
export function goneLines({ process, names }: StateRecord): readonly string[] {
  return [
    printable(`the supervisor (pid ${process.pid}) is gone; it held ${names.join(', ')}`),
    printable(`  bring them back, which also ends its sessions: cloudtun up ${names.join(' ')}`),
  ];
}
