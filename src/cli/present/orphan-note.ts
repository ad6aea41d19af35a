import type { OrphanReport } from '../../broker/orphans.ts';
import { printable } from './printable.ts';

/** What to tell a person about a session that a killed process left behind. */
export function orphanNote(report: OrphanReport): string {
  const { id, target, pid, place } = report.session;
  const what = `session ${id} to ${target}, left by a cloudtun that was killed (pid ${pid})`;
  if (report.outcome === 'ended') return printable(`ended ${what}`);
  if (report.outcome === 'failed') return printable(`could not end ${what}: ${report.error.message}`);
  const where = place.profile === undefined ? place.scope : `${place.profile}/${place.scope}`;
  return printable(`still open elsewhere (${where}): ${what}`);
}
