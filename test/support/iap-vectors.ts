/** Frames, sessions and verdicts recorded from the official client of Identity-Aware Proxy: test/vectors/iap-vectors.json. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** How the file writes bytes that go in. */
export type BytesForm =
  | { readonly hex: string }
  | { readonly fill: string; readonly length: number }
  | { readonly mod: number; readonly length: number }
  | { readonly concat: readonly BytesForm[] };

/** How it writes bytes that come out: whole, or by length, ends and digest. */
export type BytesResult =
  | { readonly hex: string }
  | { readonly length: number; readonly headHex: string; readonly tailHex: string; readonly sha256: string };

export interface VectorTarget {
  readonly project?: string;
  readonly zone?: string;
  readonly instance?: string;
  readonly interface?: string;
  readonly port?: number;
  readonly region?: string;
  readonly network?: string;
  readonly host?: string;
  readonly dest_group?: string;
  readonly url_override?: string;
}

export interface SessionStep {
  readonly in?: BytesForm;
  readonly send?: BytesForm;
  readonly idle?: boolean;
  readonly lost?: string;
  readonly reconnectAck?: string;
  readonly out?: readonly BytesResult[];
  readonly delivered?: BytesResult;
  readonly error?: string;
  readonly state: {
    readonly connected: boolean;
    readonly received: string;
    readonly acked: string;
    readonly confirmed: string;
    /** Lengths of the chunks that are kept. */
    readonly unconfirmed: readonly number[];
  };
}

export interface IapVectors {
  readonly urls: readonly {
    readonly name: string;
    readonly target: VectorTarget;
    readonly clientCertificate?: boolean;
    readonly universeDomain?: string;
    readonly kind: 'connect' | 'reconnect';
    readonly sid?: BytesForm;
    readonly ack?: string;
    readonly url: string;
  }[];
  readonly parameterChecks: readonly { readonly name: string; readonly target: VectorTarget; readonly ok: boolean }[];
  readonly encode: readonly {
    readonly name: string;
    readonly frame: 'ACK' | 'DATA';
    readonly value?: string;
    readonly payload?: BytesForm;
    readonly result?: BytesResult;
    readonly error?: string;
  }[];
  readonly decode: readonly {
    readonly name: string;
    readonly message: BytesForm;
    readonly tag?: number;
    readonly sid?: BytesResult;
    readonly ack?: string;
    readonly payload?: BytesResult;
    readonly trailing?: number;
    readonly unknownTag?: boolean;
    readonly error?: string;
  }[];
  readonly sessions: readonly { readonly name: string; readonly steps: readonly SessionStep[] }[];
  readonly webSocketFrames: readonly {
    readonly name: string;
    readonly opcode: number;
    readonly maskKey: BytesForm;
    readonly payload: BytesForm;
    readonly result: BytesResult;
  }[];
  readonly closeFrames: readonly {
    readonly name: string;
    readonly body: BytesForm;
    readonly parsed: readonly [number, string] | null;
    readonly sessionEnded?: boolean;
    readonly resumable?: boolean;
  }[];
  readonly handshake: {
    readonly requestLines: readonly string[];
    readonly accept: readonly {
      readonly name: string;
      readonly key: string;
      readonly responseHeaders: Readonly<Record<string, string>>;
      readonly accepted: boolean;
    }[];
  };
  readonly backoff: {
    readonly withoutJitterMs: readonly number[];
    readonly jitterMs: number;
    readonly totalMs: number;
  };
  readonly constants: Readonly<Record<string, unknown>>;
  readonly observedReactions: readonly {
    readonly serviceDid: string;
    readonly when: 'before the session id' | 'after the session id';
    readonly keptWorking: boolean;
    readonly webSocketsOpened: number;
    readonly stdout: string;
  }[];
  readonly securityGateway: unknown;
  readonly ssh: unknown;
}

const file = join(import.meta.dirname, '..', 'vectors', 'iap-vectors.json');

export const allIapVectors = JSON.parse(readFileSync(file, 'utf8')) as IapVectors & Readonly<Record<string, unknown>>;

/** One group of the vectors. The coverage test looks for these calls, so name the group literally. */
export function iapVectors<Group extends keyof IapVectors>(group: Group): IapVectors[Group] {
  return allIapVectors[group];
}

/**
 * Prints how many vectors of a group were run, and fails when some were neither run nor are listed.
 *
 * @param listed what documents the official client's policy and not the protocol: name → reason
 */
export function reportIapVectors(
  t: TestContext,
  group: keyof IapVectors,
  run: number,
  of: number,
  listed: Readonly<Record<string, string>> = {},
): void {
  const reasons = Object.entries(listed);
  t.diagnostic(`${run} of ${of} vectors of ${group} run${reasons.length > 0 ? `, ${reasons.length} listed` : ''}`);
  for (const [name, reason] of reasons) t.diagnostic(`  not run: ${name}: ${reason}`);
  t.assert.equal(run + reasons.length, of, `vectors of ${group} that were not run`);
}

export function bytesOf(form: BytesForm): Buffer {
  if ('hex' in form) return Buffer.from(form.hex, 'hex');
  if ('fill' in form) return Buffer.alloc(form.length, Number.parseInt(form.fill, 16));
  if ('mod' in form) return Buffer.from(Uint8Array.from({ length: form.length }, (_, at) => at % form.mod));
  return Buffer.concat(form.concat.map(bytesOf));
}

/** The way the file would write these bytes, to be compared with what it says. */
export function resultOf(bytes: Buffer, like: BytesResult): BytesResult {
  if ('hex' in like) return { hex: bytes.toString('hex') };
  return {
    length: bytes.length,
    headHex: bytes.toString('hex', 0, 24),
    tailHex: bytes.toString('hex', bytes.length - 8),
    sha256: createHash('sha256').update(bytes).digest('hex'),
  };
}
