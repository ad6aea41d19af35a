/** What a run is made of. */
import type { Figure } from '../bench/figures.ts';
import type { LabProcess } from '../bench/lab-process.ts';
import type { Cloudtun, Official } from './clients.ts';
import type { PeerName, Peers } from './peers.ts';
import type { Programs } from './programs.ts';

export interface Finding {
  readonly ok: boolean;
  /** What was done, with its figures. */
  readonly text: string;
}

export interface Outcome {
  readonly findings: readonly Finding[];
  /** Comparisons of the two clients; a bound that is missed is a failure. */
  readonly figures?: readonly Figure[];
}

export interface Context {
  readonly peers: Peers;
  /** How often each comparison is made. */
  readonly rounds: number;
  /** A lab whose database `orders` is the workload server. */
  readonly lab: LabProcess;
  /** What the clients of the IAP relay are started with. */
  readonly iap: { readonly programs: Programs; readonly lab: LabProcess; readonly directory: string };
  readonly cloudtun: Cloudtun;
  cloudtunWith(flags: readonly string[]): Cloudtun;
  /** @throws when the run has no AWS CLI */
  readonly official: Official;
  /** For the checks that want a lab as users have it; ends with the run. */
  practice(): Promise<{ readonly lab: LabProcess; readonly cloudtun: Cloudtun }>;
  /** For long waits, on stderr. */
  say(text: string): void;
}

export interface Check {
  readonly name: string;
  /** Without all of these it is skipped. */
  readonly needs: readonly PeerName[];
  /** @throws Error what failed; the run goes on */
  run(context: Context): Promise<Outcome>;
}

export const ok = (text: string): Finding => ({ ok: true, text });

/** A finding that holds or not. */
export const judge = (isOk: boolean, text: string): Finding => ({ ok: isOk, text });

export const megabytes = (byteCount: number): string => `${(byteCount / 1e6).toFixed(byteCount < 1e6 ? 2 : 0)} MB`;

export const rate = (byteCount: number, ms: number): string => `${(byteCount / 1000 / ms).toFixed(2)} MB/s`;

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
