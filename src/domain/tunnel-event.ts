import type { CloudtunError } from './errors.ts';
import type { Millis } from './millis.ts';
import type { SessionEnding } from './session-ending.ts';

/** What a tunnel says about its own life: the journal, `--json`, `-v` and the status lines are made of these. */
export type TunnelEvent =
  /** A step on the way to ready was done; `-v` prints it with its duration. */
  | { readonly type: 'phase'; readonly phase: string; readonly duration: Millis }
  | {
      readonly type: 'session-started';
      readonly sessionId: string;
      /** What it was started with, where the cloud has such a thing. */
      readonly document?: string;
      /** One beside others: why, and how many that makes. `connection`: the agent carries one connection in a session. */
      readonly further?: { readonly because: 'asked' | 'load' | 'stalled' | 'connection'; readonly count: number };
    }
  | { readonly type: 'reconnecting'; readonly sessionId: string; readonly reason: string; readonly attempt: number }
  | {
      readonly type: 'renewed';
      readonly sessionId: string;
      readonly how: 'resumed' | 'new-session';
      readonly downtime: Millis;
    }
  /** The credentials are over, and a person has to sign in; new connections wait for so long. Told once until it goes on. */
  | { readonly type: 'sign-in-needed'; readonly error: CloudtunError; readonly heldFor: Millis }
  /** Credentials are there again. */
  | { readonly type: 'signed-in'; readonly after: Millis }
  /** Where it leads is no longer where the target is: the next connection gets a new session, those that are open may end on the old one. */
  | { readonly type: 'moved'; readonly what: string; readonly openStreams: number }
  | { readonly type: 'session-stalled'; readonly sessionId: string; readonly heldByteCount: number }
  | { readonly type: 'stream-reset'; readonly sessionId: string; readonly error: CloudtunError }
  /** A machine on the way was logged in to. */
  | {
      readonly type: 'hop';
      readonly hop: string;
      readonly user: string;
      /** What let the key in, or whose key it was. */
      readonly by: string;
      /** Of the server, with how it was found to be right. */
      readonly hostKey: { readonly trust: 'published' | 'known' | 'first-use'; readonly fingerprint: string };
    }
  | { readonly type: 'warning'; readonly message: string }
  /** Nothing is wrong, and something could be had that is better. */
  | { readonly type: 'hint'; readonly message: string }
  | {
      readonly type: 'session-ended';
      readonly sessionId: string;
      readonly reason: string;
      readonly error?: CloudtunError;
      readonly ending?: SessionEnding;
    };

export type TunnelEventListener = (event: TunnelEvent) => void;
