import type { Millis } from '../domain/millis.ts';
import { matchesPattern } from './core/wildcard.ts';

export const API_FAULT_KINDS = [
  'latency',
  'throttle',
  'deny',
  'service-disabled',
  'expired-token',
  'internal-error',
  'unavailable',
  'hang-up',
] as const;

/**
 * What goes wrong with an API call.
 *
 * - `latency`: the answer waits for `delay`, then the call goes on
 * - `throttle`, `deny`, `expired-token`, `internal-error` (500), `unavailable` (503): the protocol's own error answer
 * - `service-disabled`: Google's answer when the project has not switched the API on; on AWS the same as `deny`
 * - `hang-up`: the connection is cut without an answer
 */
export type ApiFaultKind = (typeof API_FAULT_KINDS)[number];

export interface ApiFault {
  /**
   * IAM-style action with `*`: `ssm:StartSession`, `ec2:*`, `*`; `sso-oidc:CreateToken` and `sso:GetRoleCredentials` too. On Google Cloud
   * `compute.instances.list`, `compute.*`, `oauth2.token`.
   */
  readonly action: string;
  readonly kind: ApiFaultKind;
  /** How many calls it strikes before it is used up; default: all, until it is cleared. */
  readonly times?: number;
  /** For `latency`. */
  readonly delay?: Millis;
}

/** The fault knobs of the HTTP APIs. Set and cleared at run time, by tests in the process or through the control endpoint. */
export class ApiFaults {
  #faults: { readonly fault: ApiFault; left: number }[] = [];

  /** Replaces all faults. */
  set(faults: readonly ApiFault[]): void {
    this.#faults = [];
    for (const fault of faults) this.add(fault);
  }

  add(fault: ApiFault): void {
    this.#faults.push({ fault, left: fault.times ?? Number.POSITIVE_INFINITY });
  }

  clear(): void {
    this.#faults = [];
  }

  /** What strikes this call, in the order of setting: delays as many as there are, and at most one failure. Counts it as struck. */
  strike(action: string): readonly ApiFault[] {
    const struck: ApiFault[] = [];
    for (const entry of this.#faults) {
      if (entry.left <= 0 || !matchesPattern(entry.fault.action, action)) continue;
      if (entry.fault.kind !== 'latency' && struck.some((fault) => fault.kind !== 'latency')) continue;
      entry.left -= 1;
      struck.push(entry.fault);
    }
    this.#faults = this.#faults.filter((entry) => entry.left > 0);
    return struck;
  }

  list(): readonly ApiFault[] {
    return this.#faults.map(({ fault, left }) => (Number.isFinite(left) ? { ...fault, times: left } : fault));
  }
}

/**
 * Faults as they come in a request of the control endpoint.
 *
 * @returns the faults, or a sentence saying what is wrong
 */
export function parseApiFaults(value: unknown): readonly ApiFault[] | string {
  if (!Array.isArray(value)) return 'api faults must be a list';
  const faults: ApiFault[] = [];
  for (const one of value as readonly unknown[]) {
    if (typeof one !== 'object' || one === null) return 'an api fault must be an object';
    const { action, kind, times, delay } = one as Record<string, unknown>;
    if (typeof action !== 'string' || action === '') return 'an api fault needs an action, such as ssm:StartSession';
    const known = API_FAULT_KINDS.find((each) => each === kind);
    if (known === undefined) return `kind of an api fault must be one of ${API_FAULT_KINDS.join(', ')}`;
    if (!isCount(times) || !isCount(delay)) return 'times and delay must be whole numbers';
    faults.push({
      action,
      kind: known,
      ...(times === undefined ? {} : { times }),
      ...(delay === undefined ? {} : { delay }),
    });
  }
  return faults;
}

const isCount = (value: unknown): value is number | undefined =>
  value === undefined || (Number.isInteger(value) && (value as number) >= 0);
