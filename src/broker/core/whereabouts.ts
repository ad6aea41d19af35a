import type { DatabaseTarget } from '../../domain/target.ts';

/*
 * Whether a target is still where a session leads: what was found when the session began against what is found now, without I/O. The far
 * machine looks a name up once for each session (docs/protocol/ssm.md, "Documents"), so a database that failed over is found by a new
 * session only.
 *
 * A name whose addresses take turns (proxies, load balancers) has not moved while one of the addresses that were seen is still there.
 */
export class Whereabouts {
  readonly #database: DatabaseTarget | undefined;
  readonly #addresses = new Set<string>();

  /** @param database as it was found when the session's route was; undefined for anything else */
  constructor(database?: DatabaseTarget) {
    this.#database = database;
  }

  /** What the cloud says now. Gives what changed, for people; undefined: nothing that matters. */
  database(now: DatabaseTarget): string | undefined {
    const then = this.#database;
    if (then === undefined) return undefined;
    const changes: readonly (readonly [string, string | undefined, string | undefined])[] = [
      ['endpoint', then.endpoint.host, now.endpoint.host],
      ['writer', then.member, now.member],
      ['zone', then.zone, now.zone],
    ];
    const change = changes.find(([, before, after]) => before !== undefined && after !== undefined && before !== after);
    if (change === undefined) return undefined;
    const [what, before, after] = change;
    return `${then.id} moved: its ${what} is ${after} now, and was ${before}`;
  }

  /** What its name answers with now, as this machine sees it; the first answer is the one that later ones are held against. */
  addresses(name: string, now: readonly string[]): string | undefined {
    const isElsewhere = this.#addresses.size > 0 && now.length > 0 && !now.some((each) => this.#addresses.has(each));
    for (const each of now) this.#addresses.add(each);
    return isElsewhere ? `${name} moved: it is ${now.join(', ')} now` : undefined;
  }
}
