import { formatEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, type CloudtunError } from '../domain/errors.ts';
import type { ProviderId } from '../domain/target.ts';
import type { ForwardEvent, ForwardReport } from '../forward/forward-types.ts';
import type { World } from '../runtime/world.ts';
import { closedJson, eventJson, type Place } from './present/event-json.ts';
import type { EventJson } from './present/event-schema.ts';
import { nextStep } from './present/next-step.ts';
import { printable } from './present/printable.ts';
import { closedLine, expiry, readyLine, remarkOn } from './present/tunnel-lines.ts';
import { showDraining, showOpenLine, showRemark } from './screen-lines.ts';
import type { Terminal } from './terminal.ts';

export interface ScreenOptions {
  /** Where the targets of a cloud are. */
  readonly placeOf: (cloud: ProviderId) => Place;
  /** What the user called the target, for the progress line. */
  readonly name: string;
  /** The login to show in the client command. */
  readonly user: string | undefined;
  readonly isJson: boolean;
  /** Events and remarks say of which tunnel they are. */
  readonly isOneOfMany?: boolean;
  /** A supervisor holds it, and goes on doing so. */
  readonly isHeld?: boolean;
}

/** Shows the life of a forward: JSON lines on stdout, or the ready and closing lines there and everything else on stderr. */
export class ForwardScreen {
  readonly #world: World;
  readonly #terminal: Terminal;
  readonly #options: ScreenOptions;

  constructor(world: World, terminal: Terminal, options: ScreenOptions) {
    this.#world = world;
    this.#terminal = terminal;
    this.#options = options;
  }

  opening(): void {
    this.#terminal.progress(`opening ${this.#options.name} ...`);
  }

  readonly onEvent = (event: ForwardEvent): void => {
    if (this.#options.isJson) this.#showJson(event);
    else this.#showText(event);
  };

  /** Shows the end; the result is the `closed` event. */
  closed(report: ForwardReport): EventJson {
    const { isJson, isOneOfMany, name } = this.#options;
    if (!isJson) this.#terminal.result(isOneOfMany ? `${printable(name)} ${closedLine(report)}` : closedLine(report));
    return { ...closedJson(report, this.#world.clock.wall()), ...this.#named() };
  }

  #named(): { readonly tunnel?: string } {
    const { isOneOfMany, name } = this.#options;
    return isOneOfMany ? { tunnel: name } : {};
  }

  #showJson(event: ForwardEvent): void {
    const isDetail = event.type === 'tunnel' && event.event.type === 'phase';
    if (isDetail && this.#world.log.level === 0) return;
    const json = eventJson(event, this.#options.placeOf, this.#world.clock.wall());
    const held = event.type === 'ready' && this.#options.isHeld && { held: true };
    this.#terminal.result(JSON.stringify({ ...json, ...this.#named(), ...held }));
  }

  #showText(event: ForwardEvent): void {
    if (event.type === 'ready') this.#showReady(event);
    if (event.type === 'waiting') this.#showWaiting(event);
    if (event.type === 'draining') showDraining(this.#terminal, event);
    if (event.type === 'tunnel' && event.event.type === 'session-started') {
      this.#terminal.progress(`waiting for ${this.#options.name} to answer ...`);
    }
    const remark = remarkOn(event);
    const { isOneOfMany, name } = this.#options;
    const named = remark && isOneOfMany ? { ...remark, text: `${name}: ${remark.text}` } : remark;
    showRemark(this.#world, this.#terminal, named, false);
  }

  #showWaiting({ local, expiresAt }: Extract<ForwardEvent, { type: 'waiting' }>): void {
    const { clock } = this.#world;
    const where = formatEndpoint(local[0]!);
    const until = expiry(expiresAt, clock.wall());
    showOpenLine(this.#terminal, printable(`waiting ${where} -> ${this.#options.name} (on demand, ${until})`));
  }

  #showReady(event: Extract<ForwardEvent, { type: 'ready' }>): void {
    const line = readyLine(event, this.#options.placeOf(event.route.provider), this.#world.clock.wall());
    showOpenLine(this.#terminal, this.#options.isHeld ? line.replace(/\)$/, ', held in the background)') : line);
    const step = nextStep(event.route, event.local[0]!, this.#options.user);
    if (step !== undefined && this.#terminal.isWatched) this.#terminal.note(`  ${step}`);
  }
}

/** The exit code that the end of a forward asks for, and the error to show for it. */
export function outcomeOf(
  report: ForwardReport,
  signalExitCode: number | undefined,
): { readonly exitCode: number; readonly error?: CloudtunError } {
  if (report.reason === 'interrupted') return { exitCode: signalExitCode ?? 0 };
  if (report.error === undefined) return { exitCode: 0 };
  const error = asCloudtunError(report.error);
  return { exitCode: error.exitCode, error };
}
