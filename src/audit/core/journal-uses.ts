/*
 * What a journal says that was used: sessions with the name that the cloud gave them, and ways that were open for a time. Both are told
 * in several lines (`open`, `identity`, `session`, `client`, `end`), joined by the tunnel's id.
 */

type Fields = Readonly<Record<string, unknown>>;

interface Line {
  readonly file: string;
  readonly line: number;
  /** Wall clock of the machine that wrote it. */
  readonly time: number;
  readonly event: Fields;
}

/** `session`: one that the cloud named. `way`: a tunnel to one endpoint through one node, from its `open` line to its last. */
export interface JournalUse {
  readonly kind: 'session' | 'way';
  readonly session?: string;
  readonly tunnel: string;
  readonly at: number;
  /** When the tunnel's last line was written. */
  readonly until: number;
  /** When connections were made over it, the opening first. Of a way. */
  readonly times: readonly number[];
  /** A client was connected: so the cloud must have let somebody through. */
  readonly wasUsed: boolean;
  /** Absent where the journal never learned it. */
  readonly person?: string;
  readonly account?: string;
  readonly place: string;
  readonly asked: string;
  readonly node: string;
  /** `host:port` or `:port`, as the node sees it. */
  readonly to?: string;
  readonly document?: string;
  readonly file: string;
  readonly line: number;
}

interface KnownTunnel {
  /** Who it is, which may be said after the first lines. */
  readonly who: Fields;
  readonly until: number;
}

/** @param lines in order of time */
export function journalUses(lines: readonly Line[]): readonly JournalUse[] {
  const known = knownTunnels(lines);
  const ways = new Map<string, { use: JournalUse; times: number[] }[]>();
  const uses: JournalUse[] = [];
  for (const line of lines) {
    const { event } = line;
    const tunnel = textOf(event.tunnel);
    const about = tunnel === undefined ? undefined : known.get(tunnel);
    if (tunnel === undefined || about === undefined) continue;
    const own = ways.get(tunnel) ?? [];
    ways.set(tunnel, own);
    if (event.event === 'open') {
      const times = [line.time];
      const use: JournalUse = { ...common(line, tunnel, about, event), kind: 'way', times, wasUsed: false };
      own.push({ use, times });
    } else if (event.event === 'client' && event.change !== 'closed') {
      // To an endpoint that was opened more than once (another node), the last one carries it.
      (own.findLast(({ use }) => use.to === event.to) ?? own.at(-1))?.times.push(line.time);
    } else if (event.event === 'session' && event.change === 'started') {
      const session = textOf(event.session);
      const opened = own.at(-1)?.use;
      if (session === undefined || opened === undefined) continue;
      const document = textOf(event.document) ?? opened.document;
      const { file, line: number, time: at } = line;
      uses.push({ ...opened, kind: 'session', session, at, file, line: number, ...(document && { document }) });
    }
  }
  const finished = [...ways.values()].flat().map(({ use, times }) => ({ ...use, wasUsed: times.length > 1 }));
  return [...uses, ...finished];
}

function knownTunnels(lines: readonly Line[]): ReadonlyMap<string, KnownTunnel> {
  const known = new Map<string, KnownTunnel>();
  for (const { time, event } of lines) {
    const tunnel = textOf(event.tunnel);
    if (tunnel === undefined) continue;
    const before = known.get(tunnel);
    const said = Object.fromEntries(
      (['person', 'account'] as const).flatMap((key) => (event[key] === undefined ? [] : [[key, event[key]]])),
    );
    known.set(tunnel, { who: { ...before?.who, ...said }, until: Math.max(before?.until ?? time, time) });
  }
  return known;
}

function common(line: Line, tunnel: string, { who, until }: KnownTunnel, event: Fields) {
  const [person, account, to, document] = [who.person, who.account, event.to, event.document].map(textOf);
  return {
    tunnel,
    at: line.time,
    until,
    ...(person !== undefined && { person }),
    ...(account !== undefined && { account }),
    place: textOf(event.place) ?? '',
    asked: textOf(event.asked) ?? '',
    node: textOf(event.node) ?? '',
    ...(to !== undefined && { to }),
    ...(document !== undefined && { document }),
    file: line.file,
    line: line.line,
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
