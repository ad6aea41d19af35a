import type { CloudLog, LogLine } from '../../domain/cloud-log.ts';
import { CloudtunError } from '../../domain/errors.ts';
import type { AwsApi } from './aws-api.ts';
import { awsErrorName } from './aws-errors.ts';

/** "API_PutLogEvents": at most so many events of a call, and so many bytes with 26 for each. */
const LIMITS = { lines: 10_000, byteCount: 1_048_576 } as const;
export const EVENT_OVERHEAD = 26;
/** Events of one call may not lie further apart. */
const SPAN_LIMIT = 86_400_000;

/** A log group of CloudWatch Logs; each machine has a stream of its own in it. */
export class CloudWatchLog implements CloudLog {
  readonly limits = LIMITS;
  readonly #api: AwsApi;
  readonly #group: string;
  readonly #stream: string;

  /** @param stream without `:` and `*`, which its name may not have */
  constructor(api: AwsApi, group: string, stream: string) {
    this.#api = api;
    this.#group = group;
    this.#stream = stream.replaceAll(/[:*]/g, '_').slice(0, 512) || 'cloudtun';
  }

  async send(lines: readonly LogLine[], signal: AbortSignal): Promise<{ readonly refused: number }> {
    let refused = 0;
    for (const part of inSpans(lines)) {
      try {
        refused += await this.#put(part, signal);
      } catch (error) {
        if (awsErrorName(error) !== 'ResourceNotFoundException') throw error;
        await this.#makeStream(signal);
        refused += await this.#put(part, signal);
      }
    }
    return { refused };
  }

  async #put(lines: readonly LogLine[], signal: AbortSignal): Promise<number> {
    const call = {
      action: 'logs:PutLogEvents',
      resource: `log-group:${this.#group}:log-stream:${this.#stream}`,
      doing: `write to the log group ${this.#group}`,
    };
    const logEvents = lines.map(({ id, at, event }) => ({ timestamp: at, message: JSON.stringify({ id, ...event }) }));
    const answer = await this.#api.logs(call, signal, (sdk, client, options) =>
      client.send(
        new sdk.PutLogEventsCommand({ logGroupName: this.#group, logStreamName: this.#stream, logEvents }),
        options,
      ),
    );
    const {
      tooOldLogEventEndIndex = 0,
      expiredLogEventEndIndex = 0,
      tooNewLogEventStartIndex,
    } = answer.rejectedLogEventsInfo ?? {};
    const old = Math.max(tooOldLogEventEndIndex, expiredLogEventEndIndex);
    return old + (tooNewLogEventStartIndex === undefined ? 0 : lines.length - tooNewLogEventStartIndex);
  }

  async #makeStream(signal: AbortSignal): Promise<void> {
    const call = {
      action: 'logs:CreateLogStream',
      resource: `log-group:${this.#group}:log-stream:${this.#stream}`,
      doing: `make a stream in the log group ${this.#group}`,
    };
    try {
      await this.#api.logs(call, signal, (sdk, client, options) =>
        client.send(
          new sdk.CreateLogStreamCommand({ logGroupName: this.#group, logStreamName: this.#stream }),
          options,
        ),
      );
    } catch (error) {
      const name = awsErrorName(error);
      if (name === 'ResourceAlreadyExistsException') return;
      if (name !== 'ResourceNotFoundException') throw error;
      throw new CloudtunError('CT_TARGET_NOT_FOUND', `there is no log group ${this.#group} in ${this.#api.region}`, {
        hint: `whoever runs the account makes it: aws logs create-log-group --log-group-name ${this.#group}`,
        cause: error,
      });
    }
  }
}

/** Parts that lie within a day each. */
function* inSpans(lines: readonly LogLine[]): Generator<readonly LogLine[]> {
  let start = 0;
  for (const [index, { at }] of lines.entries()) {
    if (at - lines[start]!.at < SPAN_LIMIT) continue;
    yield lines.slice(start, index);
    start = index;
  }
  if (start < lines.length) yield lines.slice(start);
}
