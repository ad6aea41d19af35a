/*
 * Which lines of a journal are wanted. Most lines of a tunnel (a client, a session, the end) do not say whose it is; its `open` line
 * does. So what is known of each tunnel is remembered, and a question about a person or a target is one about whole tunnels.
 */

type Fields = Readonly<Record<string, unknown>>;

export interface LineFilter {
  /** Wall clock. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  /** Their names, whole ids, or what is before the @; any of them. Absent or empty: everybody. */
  readonly persons?: readonly string[] | undefined;
  readonly targets?: readonly string[] | undefined;
  /** The beginning of a tunnel's id. */
  readonly tunnels?: readonly string[] | undefined;
  readonly events?: readonly string[] | undefined;
}

interface Line {
  readonly time: number;
  readonly event: Fields;
}

/** A line with what is known of its tunnel. */
export interface ToldLine<Of extends Line = Line> {
  readonly line: Of;
  /** Who, what and why, by the lines of the same tunnel until now, this one included. */
  readonly tunnel: Fields;
}

/** What is the same for every line of a tunnel. */
const OF_TUNNEL = [
  'person',
  'name',
  'account',
  'by',
  'hostUser',
  'host',
  'pid',
  'place',
  'asked',
  'target',
  'targetId',
  'node',
  'document',
  'use',
  'reason',
  'hops',
];
/** Tunnels that are remembered; of one that is forgotten a later line is told without its owner. */
const TUNNEL_LIMIT = 20_000;

/** Takes lines in order of time, in as many parts as they come. */
export class LineSelection {
  readonly #filter: LineFilter;
  readonly #tunnels = new Map<string, Fields>();

  constructor(filter: LineFilter) {
    this.#filter = filter;
  }

  take<Of extends Line>(lines: readonly Of[]): readonly ToldLine<Of>[] {
    return lines.flatMap((line) => {
      const tunnel = this.#learn(line.event);
      return this.#isWanted(line, tunnel) ? [{ line, tunnel }] : [];
    });
  }

  #learn(event: Fields): Fields {
    const said = Object.fromEntries(OF_TUNNEL.flatMap((key) => (event[key] === undefined ? [] : [[key, event[key]]])));
    if (typeof event.tunnel !== 'string') return said;
    const known = { ...this.#tunnels.get(event.tunnel), ...said };
    this.#tunnels.delete(event.tunnel);
    this.#tunnels.set(event.tunnel, known);
    const [oldest] = this.#tunnels.keys();
    if (this.#tunnels.size > TUNNEL_LIMIT && oldest !== undefined) this.#tunnels.delete(oldest);
    return known;
  }

  #isWanted({ time, event }: Line, tunnel: Fields): boolean {
    const { since, until, persons, targets, tunnels, events } = this.#filter;
    if (since !== undefined && time < since) return false;
    if (until !== undefined && time > until) return false;
    return (
      isAny(events, (name) => event.event === name) &&
      isAny(tunnels, (id) => String(event.tunnel ?? '').startsWith(id)) &&
      isAny(persons, (name) => [tunnel.person, tunnel.name, tunnel.hostUser].some((value) => isCalled(value, name))) &&
      isAny(targets, (name) =>
        [tunnel.target, tunnel.targetId, tunnel.asked, tunnel.node].some((value) => isCalled(value, name)),
      )
    );
  }
}

function isAny(wanted: readonly string[] | undefined, fits: (word: string) => boolean): boolean {
  return wanted === undefined || wanted.length === 0 || wanted.some(fits);
}

/** `arn:…:user/alice` and `alice@example.com` are both called alice. */
export function isCalled(value: unknown, name: string): boolean {
  if (typeof value !== 'string') return false;
  const [whole, wanted] = [value.toLowerCase(), name.toLowerCase()];
  const last = whole.split(/[/:]/).at(-1)!;
  return whole === wanted || last === wanted || last.split('@')[0] === wanted;
}
