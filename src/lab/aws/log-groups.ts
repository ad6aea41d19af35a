import type { Millis } from '../../domain/millis.ts';

export interface LoggedEvent {
  readonly timestamp: Millis;
  readonly ingestedAt: Millis;
  readonly message: string;
}

/** CloudWatch Logs of the lab: group → stream → events, as they came. */
export class LogGroups {
  readonly #groups = new Map<string, Map<string, LoggedEvent[]>>();

  /** @returns false when it is there */
  makeGroup(group: string): boolean {
    if (this.#groups.has(group)) return false;
    this.#groups.set(group, new Map());
    return true;
  }

  /** @returns false when it is there; undefined without the group */
  makeStream(group: string, stream: string): boolean | undefined {
    const streams = this.#groups.get(group);
    if (streams === undefined) return undefined;
    if (streams.has(stream)) return false;
    streams.set(stream, []);
    return true;
  }

  groups(): readonly string[] {
    return [...this.#groups.keys()];
  }

  streams(group: string): ReadonlyMap<string, readonly LoggedEvent[]> | undefined {
    return this.#groups.get(group);
  }

  /** @returns undefined without the stream */
  put(group: string, stream: string, events: readonly LoggedEvent[]): true | undefined {
    const found = this.#groups.get(group)?.get(stream);
    found?.push(...events);
    return found && true;
  }
}
