import type { Trail, TrailEvent } from '../trail.ts';
import type { ApiContext, JsonService } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import type { JsonInput, JsonObject } from './json-input.ts';
import { takeJsonPage } from './paging.ts';

const MAX_RESULTS = 50;
/** LookupEvents reaches back so far. */
const KEPT_MS = 90 * 86_400_000;

/** CloudTrail: LookupEvents. */
export function cloudTrailApi(context: ApiContext, trail: Trail): JsonService {
  return {
    name: 'cloudtrail',
    protocol: 'json',
    targetPrefix: 'CloudTrail_20131101',
    operations: {
      LookupEvents: {
        run: (input) => {
          const now = context.world.clock.wall();
          const fits = readAttribute(input);
          const from = Math.max(now - KEPT_MS, secondsOf(input, 'StartTime', 0));
          const to = secondsOf(input, 'EndTime', now);
          if (from > to) throw new AwsFault('InvalidTimeRangeException', 400, 'The start time is after the end time.');
          const found = trail.events
            .visible(now)
            .filter(({ at, event }) => at >= from && at <= to && fits(event))
            .map(({ at, event }) => shape(at, event));
          const size = Math.min(input.integer('MaxResults', 1, MAX_RESULTS) ?? MAX_RESULTS, context.pageLimit);
          const page = takeJsonPage('cloudtrail:LookupEvents', found, size, input);
          return { Events: page.items, NextToken: page.next };
        },
      },
    },
  };
}

const secondsOf = (input: JsonInput, name: string, fallback: number): number => {
  const seconds = input.integer(name, 0, Number.MAX_SAFE_INTEGER);
  return seconds === undefined ? fallback : seconds * 1_000;
};

/** The real service takes one attribute and no more. */
function readAttribute(input: JsonInput): (event: TrailEvent) => boolean {
  const [first, ...more] = input.structures('LookupAttributes');
  if (more.length > 0) {
    throw new AwsFault('InvalidLookupAttributesException', 400, 'Only one lookup attribute can be specified.');
  }
  if (first === undefined) return () => true;
  const value = first.requiredText('AttributeValue', { min: 1, max: 2_000 });
  const key = first.requiredText('AttributeKey', {
    pattern: /^(EventId|EventName|ReadOnly|Username|ResourceType|ResourceName|EventSource|AccessKeyId)$/,
  });
  return (event) => valuesOf(event, key).includes(value);
}

function valuesOf(event: TrailEvent, key: string): readonly string[] {
  switch (key) {
    case 'EventId':
      return [event.id];
    case 'EventName':
      return [event.name];
    case 'ReadOnly':
      return [String(event.isReadOnly)];
    case 'Username':
      return [event.userName];
    case 'EventSource':
      return [event.source];
    case 'AccessKeyId':
      return [event.accessKeyId];
    default:
      return event.resources.map(({ type, name }) => (key === 'ResourceType' ? type : name));
  }
}

const shape = (at: number, event: TrailEvent): JsonObject => ({
  EventId: event.id,
  EventName: event.name,
  ReadOnly: String(event.isReadOnly),
  AccessKeyId: event.accessKeyId,
  EventTime: Math.floor(at / 1_000),
  EventSource: event.source,
  Username: event.userName,
  Resources: event.resources.map(({ type, name }) => ({ ResourceType: type, ResourceName: name })),
  CloudTrailEvent: JSON.stringify(event.document),
});
