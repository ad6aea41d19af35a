import type { AuditFeed, CloudRecord, FeedReading } from '../../domain/audit-feed.ts';
import { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { dateAt } from '../../runtime/iso-time.ts';
import type { World } from '../../runtime/world.ts';
import type { Gatekeeper } from '../provider.ts';
import { cloudTrailReader, scopeOf } from './audit-reader.ts';
import type { AwsApi } from './aws-api.ts';

/** "LookupEvents": two requests a second, for each account and region. */
const PACE: Millis = 500;
/** 50 sessions each: ten minutes of asking. Who has more has a trail to a bucket. */
const MOST_PAGES = 1_200;

/** CloudTrail's event history, in one account and region. */
export class CloudTrailFeed implements AuditFeed {
  readonly reader = cloudTrailReader;
  /** "LookupEvents" reaches back 90 days. */
  readonly reach = 90 * 86_400_000;
  readonly #world: World;
  readonly #api: AwsApi;
  readonly #gatekeeper: Pick<Gatekeeper, 'whoami'>;

  constructor(world: World, api: AwsApi, gatekeeper: Pick<Gatekeeper, 'whoami'>) {
    this.#world = world;
    this.#api = api;
    this.#gatekeeper = gatekeeper;
  }

  async look(since: Millis, told: (count: number) => void, signal: AbortSignal): Promise<FeedReading> {
    const { account } = await this.#gatekeeper.whoami(signal);
    const records: CloudRecord[] = [];
    let next: string | undefined;
    for (let page = 0; page < MOST_PAGES; page += 1) {
      if (page > 0) await this.#world.clock.sleep(PACE, signal);
      const { Events = [], NextToken } = await this.#page(since, next, signal);
      records.push(...Events.flatMap((event) => this.reader.read(event) ?? []));
      told(records.length);
      next = NextToken;
      if (next === undefined) return { records, scopes: [scopeOf(account, this.#api.region)] };
    }
    throw new CloudtunError('CT_SERVICE', `CloudTrail has more than ${MOST_PAGES * 50} sessions of this time`, {
      hint: 'narrow it with --since, or read the files of a trail: --from DIRECTORY',
    });
  }

  #page(since: Millis, next: string | undefined, signal: AbortSignal) {
    const call = { action: 'cloudtrail:LookupEvents', doing: 'look up sessions in CloudTrail' };
    return this.#api.cloudTrail(call, signal, (sdk, client, options) =>
      client.send(
        new sdk.LookupEventsCommand({
          LookupAttributes: [{ AttributeKey: 'EventName', AttributeValue: 'StartSession' }],
          StartTime: dateAt(since),
          ...(next !== undefined && { NextToken: next }),
        }),
        options,
      ),
    );
  }
}
