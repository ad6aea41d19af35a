import { formatDuration } from '../domain/duration.ts';
import { formatEndpoint } from '../domain/endpoint.ts';
import type { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { ProviderId } from '../domain/target.ts';
import type { OpenName } from '../exec/open-names.ts';
import type { ForwardEvent, ForwardReport } from '../forward/forward-types.ts';
import type { ChildEnd } from '../runtime/run-child.ts';
import type { World } from '../runtime/world.ts';
import type { Place } from './present/event-json.ts';
import { closedJson, eventJson } from './present/event-json.ts';
import { printable } from './present/printable.ts';
import { remarkOn } from './present/tunnel-lines.ts';
import type { Terminal } from './terminal.ts';

/** What `exec` says of itself: everything on stderr, since stdout is the command's. With `--json` a JSON line for each event, there too. */
export class ExecScreen {
  readonly #world: World;
  readonly #terminal: Terminal;
  readonly #isJson: boolean;
  /** Names whose tunnel has sessions that the cloud keeps. */
  readonly #withSessions = new Set<string>();

  /** @param terminal whose results go to stderr */
  constructor(world: World, terminal: Terminal, isJson: boolean) {
    this.#world = world;
    this.#terminal = terminal;
    this.#isJson = isJson;
  }

  note(text: string): void {
    if (!this.#isJson) this.#terminal.note(printable(`cloudtun: ${text}`));
  }

  /** What is shown with `--quiet`, too. */
  warn(text: string): void {
    if (!this.#isJson) this.#terminal.complain(printable(`cloudtun: ${text}`));
  }

  event(name: string, event: ForwardEvent, placeOf: (cloud: ProviderId) => Place): void {
    if (this.#isJson) {
      const isDetail = event.type === 'tunnel' && event.event.type === 'phase';
      if (isDetail && this.#world.log.level === 0) return;
      this.#json({ name, ...eventJson(event, placeOf, this.#world.clock.wall()) });
      return;
    }
    const remark = remarkOn(event);
    if (remark === undefined) return;
    const text = `${name}: ${remark.text}`;
    // What a command lost is said in a quiet job, too: its exit code does not tell.
    if (isLoss(event)) this.warn(text);
    else if (remark.weight === 'note') this.note(text);
    else if (remark.weight === 'debug') this.#world.log.debug(text);
    else this.#world.log.info(text);
  }

  retry(name: string, error: CloudtunError, pause: Millis): void {
    this.note(`${name}: ${error.message} (${error.code}); trying again in ${formatDuration(pause)}`);
  }

  ready({ name, local, took, forward }: OpenName): void {
    if (forward === undefined) this.note(`${name} is held in the background on ${formatEndpoint(local)}, and stays`);
    else {
      if (forward.status().each.length > 0) this.#withSessions.add(name);
      this.note(`${name} ready in ${formatDuration(took)} on ${formatEndpoint(local)}`);
    }
  }

  /** @param reports in the order of the names */
  ended(
    end: ChildEnd,
    took: Millis,
    names: readonly OpenName[],
    reports: readonly (ForwardReport | undefined)[],
  ): void {
    for (const [index, report] of reports.entries()) {
      if (report === undefined) continue;
      const { reason, error } = report;
      const { name } = names[index]!;
      if (this.#isJson) this.#json({ name, ...closedJson(report, this.#world.clock.wall()) });
      else if (reason !== 'ended') {
        const why = error === undefined ? LOST_BY[reason] : `${error.message} (${error.code})`;
        this.warn(`${name} was closed before the command ended: ${why ?? reason}`);
      }
    }
    const how = end.signal === undefined ? `ended with ${end.exitCode}` : `was ended by ${end.signal}`;
    const own = names.filter(({ forward }) => forward !== undefined);
    const closed = own.length === 1 ? '; tunnel closed' : `; ${own.length} tunnels closed`;
    const hasSessions = own.some(({ name }) => this.#withSessions.has(name));
    const sessions = hasSessions ? `, session${own.length === 1 ? '' : 's'} terminated` : '';
    this.note(`command ${how} after ${formatDuration(took)}${own.length === 0 ? '' : closed + sessions}`);
  }

  #json(value: object): void {
    this.#terminal.result(JSON.stringify(value));
  }
}

function isLoss(event: ForwardEvent): boolean {
  if (event.type === 'tunnel') return event.event.type === 'stream-reset';
  return event.type === 'client' && event.error !== undefined;
}

const LOST_BY: Readonly<Partial<Record<ForwardReport['reason'], string>>> = {
  ttl: 'its time limit (--ttl) was over',
  idle: 'nobody used it (--idle)',
  policy: 'the hours of the policy are over',
};
