import type { Millis } from '../domain/millis.ts';
import { targetLabel } from '../domain/target.ts';
import type { ExposeEvent, ExposeReport } from '../expose/expose-types.ts';
import type { Timer } from '../runtime/clock.ts';
import type { World } from '../runtime/world.ts';
import type { ScreenOptions } from './forward-screen.ts';
import type { EventJson } from './present/event-schema.ts';
import {
  countdown,
  exposeClosedJson,
  exposedLine,
  exposeEventJson,
  exposeRemarkOn,
  exposeTroubleOf,
  refusedLine,
} from './present/expose-events.ts';
import { closedLine, plural } from './present/tunnel-lines.ts';
import { showDraining, showOpenLine, showRemark, ToldTroubles } from './screen-lines.ts';
import type { Terminal } from './terminal.ts';

/** Shows the life of an exposed port, with the time that is left on the last line of a terminal. */
export class ExposeScreen {
  readonly #world: World;
  readonly #terminal: Terminal;
  readonly #options: Omit<ScreenOptions, 'user'>;
  readonly #told = new ToldTroubles();
  #timer: Timer | undefined;
  #expiresAt: Millis | undefined;
  #clients = 0;
  #login = 'ssh';

  constructor(world: World, terminal: Terminal, options: Omit<ScreenOptions, 'user'>) {
    this.#world = world;
    this.#terminal = terminal;
    this.#options = options;
  }

  opening(): void {
    this.#terminal.progress(`opening ${this.#options.name} ...`);
  }

  readonly onEvent = (event: ExposeEvent): void => {
    if (event.type === 'exposed') this.#login = `ssh ${targetLabel(event.target)}`;
    if (this.#options.isJson) this.#showJson(event);
    else this.#showText(event);
  };

  /** Shows the end; the result is the `closed` event. */
  closed(report: ExposeReport): EventJson {
    this.#timer?.cancel();
    if (!this.#options.isJson) {
      const refused = refusedLine(report);
      if (refused !== undefined) this.#terminal.note(`  ${refused}`);
      this.#terminal.result(closedLine(report));
    }
    return exposeClosedJson(report, this.#world.clock.wall());
  }

  #showJson(event: ExposeEvent): void {
    const isDetail = event.type === 'tunnel' && event.event.type === 'phase';
    if (isDetail && this.#world.log.level === 0) return;
    const { clock } = this.#world;
    const json = exposeEventJson(event, this.#options.placeOf, this.#login, clock.wall());
    this.#terminal.result(JSON.stringify(json));
  }

  #showText(event: ExposeEvent): void {
    if (event.type === 'exposed') {
      this.#showExposed(event);
      return;
    }
    if (event.type === 'client') this.#clients = event.clients;
    if (event.type === 'draining') {
      this.#timer?.cancel();
      this.#expiresAt = undefined;
      showDraining(this.#terminal, event);
    }
    const remark = exposeRemarkOn(event);
    const isTold = remark !== undefined && this.#told.has(exposeTroubleOf(event));
    showRemark(this.#world, this.#terminal, remark, isTold);
    this.#countDown();
  }

  #showExposed(event: Extract<ExposeEvent, { type: 'exposed' }>): void {
    const line = exposedLine(event, this.#options.placeOf(event.target.provider), this.#world.clock.wall());
    showOpenLine(this.#terminal, line);
    this.#expiresAt = event.expiresAt;
    this.#countDown();
  }

  #countDown(): void {
    this.#timer?.cancel();
    if (this.#expiresAt === undefined || !this.#terminal.isWatched) return;
    const { clock } = this.#world;
    const { text, holds } = countdown(this.#expiresAt - clock.wall());
    this.#terminal.progress(`closes in ${text}, ${plural(this.#clients, 'connection')} open`);
    this.#timer = clock.after(holds, () => this.#countDown(), { background: true });
  }
}
