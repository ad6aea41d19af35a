import type { LogGroups, LoggedEvent } from '../log-groups.ts';
import type { ApiCall, ApiContext, JsonService } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import type { JsonInput } from './json-input.ts';
import { takeJsonPage } from './paging.ts';

/** "API_PutLogEvents". */
const MAX_EVENTS = 10_000;
const MAX_BYTES = 1_048_576;
const OVERHEAD = 26;
const MAX_SPAN_MS = 86_400_000;
const OLDEST_MS = 14 * 86_400_000;
const NEWEST_MS = 2 * 3_600_000;

const GROUP = { min: 1, max: 512, pattern: /^[.\-_/#A-Za-z0-9]+$/ };
const STREAM = { min: 1, max: 512, pattern: /^[^:*]*$/ };

/** CloudWatch Logs: groups, streams, PutLogEvents, FilterLogEvents. */
export function logsApi(context: ApiContext, groups: LogGroups): JsonService {
  const arnOf = (call: ApiCall, group: string, stream?: string) =>
    `arn:aws:logs:${call.region}:${context.inventory().account}:log-group:${group}${stream === undefined ? '' : `:log-stream:${stream}`}`;
  const missing = (what: string) =>
    new AwsFault('ResourceNotFoundException', 400, `The specified log ${what} does not exist.`);
  const exists = (what: string) =>
    new AwsFault('ResourceAlreadyExistsException', 400, `The specified log ${what} already exists`);
  const inGroup = (input: JsonInput, call: ApiCall) => [
    { arn: arnOf(call, input.requiredText('logGroupName', GROUP)) },
  ];
  const inStream = (input: JsonInput, call: ApiCall) => [
    { arn: arnOf(call, input.requiredText('logGroupName', GROUP), input.requiredText('logStreamName', STREAM)) },
  ];
  const now = () => context.world.clock.wall();
  return {
    name: 'logs',
    protocol: 'json',
    targetPrefix: 'Logs_20140328',
    operations: {
      CreateLogGroup: {
        resources: inGroup,
        run: (input) => {
          if (!groups.makeGroup(input.requiredText('logGroupName', GROUP))) throw exists('group');
          return {};
        },
      },
      CreateLogStream: {
        resources: inGroup,
        run: (input) => {
          const made = groups.makeStream(
            input.requiredText('logGroupName', GROUP),
            input.requiredText('logStreamName', STREAM),
          );
          if (made === undefined) throw missing('group');
          if (!made) throw exists('stream');
          return {};
        },
      },
      DescribeLogGroups: {
        run: (input) => {
          const prefix = input.text('logGroupNamePrefix') ?? '';
          const found = groups.groups().filter((name) => name.startsWith(prefix));
          const page = takeJsonPage('logs:DescribeLogGroups', found, Math.min(50, context.pageLimit), input);
          return { logGroups: page.items.map((logGroupName) => ({ logGroupName })), nextToken: page.next };
        },
      },
      PutLogEvents: {
        resources: inStream,
        run: (input) => {
          const group = input.requiredText('logGroupName', GROUP);
          const stream = input.requiredText('logStreamName', STREAM);
          if (groups.streams(group) === undefined) throw missing('group');
          if (groups.streams(group)?.get(stream) === undefined) throw missing('stream');
          const events = readEvents(input, now());
          const old = events.filter(({ timestamp }) => timestamp < now() - OLDEST_MS).length;
          const late = events.findIndex(({ timestamp }) => timestamp > now() + NEWEST_MS);
          groups.put(group, stream, events.slice(old, late === -1 ? undefined : late));
          return {
            nextSequenceToken: '0',
            ...(old > 0 || late !== -1
              ? {
                  rejectedLogEventsInfo: {
                    ...(old > 0 && { tooOldLogEventEndIndex: old }),
                    ...(late !== -1 && { tooNewLogEventStartIndex: late }),
                  },
                }
              : {}),
          };
        },
      },
      FilterLogEvents: {
        resources: inGroup,
        run: (input) => {
          const streams = groups.streams(input.requiredText('logGroupName', GROUP));
          if (streams === undefined) throw missing('group');
          const all = [...streams].flatMap(([logStreamName, events]) =>
            events.map((event, index) => ({ logStreamName, ...event, eventId: `${logStreamName}-${index}` })),
          );
          const found = all.sort((one, two) => one.timestamp - two.timestamp);
          const page = takeJsonPage('logs:FilterLogEvents', found, context.pageLimit, input);
          return {
            events: page.items.map(({ ingestedAt: ingestionTime, ...event }) => ({ ...event, ingestionTime })),
            nextToken: page.next,
          };
        },
      },
    },
  };
}

function readEvents(input: JsonInput, now: number): readonly LoggedEvent[] {
  const events = input.structures('logEvents').map((one) => ({
    timestamp: one.integer('timestamp', 0, Number.MAX_SAFE_INTEGER) ?? 0,
    message: one.requiredText('message', { min: 1 }),
    ingestedAt: now,
  }));
  const invalid = (why: string) => new AwsFault('InvalidParameterException', 400, why);
  if (events.length === 0 || events.length > MAX_EVENTS)
    throw invalid(`Log events in a single PutLogEvents request: 1 to ${MAX_EVENTS}.`);
  const size = events.reduce((sum, { message }) => sum + Buffer.byteLength(message) + OVERHEAD, 0);
  if (size > MAX_BYTES) throw invalid(`Upload too large: ${size} bytes exceeds limit of ${MAX_BYTES}`);
  for (const [index, { timestamp }] of events.entries()) {
    if (index > 0 && timestamp < events[index - 1]!.timestamp)
      throw invalid('Log events in a single PutLogEvents request must be in chronological order.');
  }
  if (events.at(-1)!.timestamp - events[0]!.timestamp > MAX_SPAN_MS)
    throw invalid('The batch of log events in a single PutLogEvents request cannot span more than 24 hours.');
  return events;
}
