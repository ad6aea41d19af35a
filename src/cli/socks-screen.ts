import { formatEndpoint } from '../domain/endpoint.ts';
import type { World } from '../runtime/world.ts';
import type { SocksEvent, SocksReport } from '../socks/socks-types.ts';
import type { ScreenOptions } from './forward-screen.ts';
import type { EventJson } from './present/event-schema.ts';
import {
  destinationLines,
  servingLine,
  socksClosedJson,
  socksEventJson,
  socksRemarkOn,
  troubleOf,
} from './present/socks-events.ts';
import { closedLine } from './present/tunnel-lines.ts';
import { showDraining, showOpenLine, showRemark, ToldTroubles } from './screen-lines.ts';
import type { Terminal } from './terminal.ts';

/** Shows the life of a SOCKS port, as ForwardScreen does that of a forward. */
export class SocksScreen {
  readonly #world: World;
  readonly #terminal: Terminal;
  readonly #options: Omit<ScreenOptions, 'user'>;
  readonly #told = new ToldTroubles();

  constructor(world: World, terminal: Terminal, options: Omit<ScreenOptions, 'user'>) {
    this.#world = world;
    this.#terminal = terminal;
    this.#options = options;
  }

  opening(): void {
    this.#terminal.progress(`opening ${this.#options.name} ...`);
  }

  readonly onEvent = (event: SocksEvent): void => {
    if (this.#options.isJson) this.#showJson(event);
    else this.#showText(event);
  };

  /** Shows the end; the result is the `closed` event. */
  closed(report: SocksReport): EventJson {
    if (!this.#options.isJson) {
      for (const line of destinationLines(report.destinations)) this.#terminal.note(`  ${line}`);
      this.#terminal.result(closedLine(report));
    }
    return socksClosedJson(report, this.#world.clock.wall());
  }

  #showJson(event: SocksEvent): void {
    const isDetail = event.type === 'tunnel' && event.event.type === 'phase';
    if (isDetail && this.#world.log.level === 0) return;
    this.#terminal.result(JSON.stringify(socksEventJson(event, this.#options.placeOf, this.#world.clock.wall())));
  }

  #showText(event: SocksEvent): void {
    if (event.type === 'serving') return this.#showServing(event);
    if (event.type === 'draining') {
      showDraining(this.#terminal, event);
    }
    const remark = socksRemarkOn(event);
    if (!remark) return;
    const isTold = (event.type === 'client' || event.type === 'refused') && this.#told.has(troubleOf(event));
    showRemark(this.#world, this.#terminal, remark, isTold);
  }

  #showServing(event: Extract<SocksEvent, { type: 'serving' }>): void {
    const line = servingLine(event, this.#options.placeOf(event.target.provider), this.#world.clock.wall());
    showOpenLine(this.#terminal, line);
    if (!this.#terminal.isWatched) return;
    this.#terminal.note(`  curl --socks5-hostname ${formatEndpoint(event.local[0]!)} http://HOST/`);
  }
}
