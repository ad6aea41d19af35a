import type { Millis } from '../domain/millis.ts';

/** One API call as the lab saw it, for tests and `lab status`. Never a secret. */
export interface ApiCallRecord {
  /** `ssm:StartSession` */
  readonly action: string;
  /** The caller's ARN; absent where the signature was wrong or none was needed. */
  readonly caller?: string;
  /** `ok`, or the code of the error answer; `hung-up` when the connection was cut. */
  readonly outcome: string;
  /** Wall clock. */
  readonly at: Millis;
}

const MAX_RECORDS = 2_000;

/** The last calls, and how many there were of each action. */
export class CallLog {
  #records: ApiCallRecord[] = [];
  readonly #counts = new Map<string, number>();
  readonly #underWay = new Map<string, number>();
  readonly #most = new Map<string, number>();

  /** A call of this action is being answered until the result is called. */
  begin(action: string): () => void {
    const count = (this.#underWay.get(action) ?? 0) + 1;
    this.#underWay.set(action, count);
    this.#most.set(action, Math.max(count, this.#most.get(action) ?? 0));
    return () => this.#underWay.set(action, this.#underWay.get(action)! - 1);
  }

  add(record: ApiCallRecord): void {
    this.#counts.set(record.action, (this.#counts.get(record.action) ?? 0) + 1);
    this.#records.push(record);
    if (this.#records.length > 2 * MAX_RECORDS) this.#records = this.#records.slice(-MAX_RECORDS);
  }

  /** The last of them, oldest first. */
  records(): readonly ApiCallRecord[] {
    return this.#records.slice(-MAX_RECORDS);
  }

  count(action: string): number {
    return this.#counts.get(action) ?? 0;
  }

  /** How many calls of this action were under way at the same time, at most. */
  mostAtOnce(action: string): number {
    return this.#most.get(action) ?? 0;
  }

  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }
}
