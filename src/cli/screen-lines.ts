import type { LifeEvent } from '../forward/forward-types.ts';
import type { World } from '../runtime/world.ts';
import { clockTime, drainingText, type Remark } from './present/tunnel-lines.ts';
import type { Terminal } from './terminal.ts';

/* What the screens of services (a forward, a SOCKS port, an exposed port) show alike. */

/** Troubles that are told once each: who scans ports, and a page that asks for a forbidden host, come a hundred times. */
const TROUBLE_LIMIT = 256;

/** Remembers what was told, as long as there is room. */
export class ToldTroubles {
  readonly #told = new Set<string>();

  /** Whether this was told before; it is from now on. @param trouble undefined for what is no trouble */
  has(trouble: string | undefined): boolean {
    if (trouble === undefined) return false;
    if (this.#told.has(trouble)) return true;
    if (this.#told.size < TROUBLE_LIMIT) this.#told.add(trouble);
    return false;
  }
}

/** A result whose first word, `ready` or `open`, stands out. */
export function showOpenLine(terminal: Terminal, line: string): void {
  const [word = ''] = line.split(' ', 1);
  terminal.result(terminal.paint('green', word, 'stdout') + line.slice(word.length));
}

export function showDraining(terminal: Terminal, event: Extract<LifeEvent, { type: 'draining' }>): void {
  const text = drainingText(event.clients, event.because) ?? '';
  // After Ctrl-C the terminal has written `^C` without a space.
  const isAfterKey = event.because === 'interrupted' && terminal.isWatched;
  terminal.partialNote(isAfterKey ? ` ${text}`.trimEnd() : text);
}

/** @param isTold before: then for people who asked for more only */
export function showRemark(
  { clock, log }: World,
  terminal: Terminal,
  remark: Remark | undefined,
  isTold: boolean,
): void {
  if (remark === undefined) return;
  if (remark.weight === 'note' && !isTold) terminal.note(`${clockTime(clock.wall())} ${remark.text}`);
  else if (remark.weight === 'debug') log.debug(remark.text);
  else log.info(remark.text);
}
