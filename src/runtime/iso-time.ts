import type { Millis } from '../domain/millis.ts';

/** `2026-11-22T10:15:30.000Z` of milliseconds since 1970 UTC. */
export function isoTime(wall: Millis): string {
  return new Date(wall).toISOString();
}

/** Milliseconds since 1970 UTC of an ISO 8601 time; undefined when it is none. */
export function parseIsoTime(text: string): Millis | undefined {
  const wall = Date.parse(text);
  return Number.isNaN(wall) ? undefined : wall;
}

/** For interfaces that want a Date object. */
export function dateAt(wall: Millis): Date {
  return new Date(wall);
}
