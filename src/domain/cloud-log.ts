import type { Millis } from './millis.ts';

/** A line of the journal on its way to a cloud's log service. */
export interface LogLine {
  /** Names the line for ever: what comes twice is known by it. */
  readonly id: string;
  readonly at: Millis;
  readonly event: Readonly<Record<string, unknown>>;
}

/** One log of a cloud's log service. */
export interface CloudLog {
  /** What one call may take. */
  readonly limits: { readonly lines: number; readonly byteCount: number };
  /**
   * Takes lines in order of time. All of them are there when it resolves, but for those that the service will never take (too old, too
   * large), which are counted.
   *
   * @throws CT_DENIED, CT_TARGET_NOT_FOUND (no such log), CT_NETWORK, CT_THROTTLED …: none may be there, or some
   */
  send(lines: readonly LogLine[], signal: AbortSignal): Promise<{ readonly refused: number }>;
}
