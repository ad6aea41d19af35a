import type { ProviderId } from '../domain/target.ts';
import type { World } from '../runtime/world.ts';
import type { HeldPlace, Reply } from '../supervisor/protocol.ts';
import { ForwardScreen } from './forward-screen.ts';
import type { Place } from './present/event-json.ts';
import type { Terminal } from './terminal.ts';

/** Shows the lives of several tunnels, each by its name. */
export class HeldScreens {
  readonly #world: World;
  readonly #terminal: Terminal;
  readonly #isJson: boolean;
  readonly #screens = new Map<string, ForwardScreen>();
  readonly #places = new Map<string, HeldPlace>();
  readonly #ready = new Set<string>();

  constructor(world: World, terminal: Terminal, isJson: boolean) {
    this.#world = world;
    this.#terminal = terminal;
    this.#isJson = isJson;
  }

  /** Those that are ready, or listen on demand. */
  get ready(): ReadonlySet<string> {
    return this.#ready;
  }

  readonly onEvent = ({ name, event, place }: Extract<Reply, { say: 'event' }>): void => {
    if (place) this.#places.set(name, place);
    if (event.type === 'ready' || event.type === 'waiting') this.#ready.add(name);
    this.screen(name).onEvent(event);
  };

  screen(name: string): ForwardScreen {
    let screen = this.#screens.get(name);
    if (screen === undefined) {
      const placeOf = (_cloud: ProviderId): Place => ({ profile: undefined, label: '', ...this.#places.get(name) });
      const options = { placeOf, name, user: undefined, isJson: this.#isJson, isOneOfMany: true };
      screen = new ForwardScreen(this.#world, this.#terminal, options);
      this.#screens.set(name, screen);
    }
    return screen;
  }
}
