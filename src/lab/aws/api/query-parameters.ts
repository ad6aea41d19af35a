import { AwsFault } from './aws-fault.ts';

/** A filter as EC2 and RDS take it: one of the values, and every filter, must fit. */
export interface QueryFilter {
  readonly name: string;
  readonly values: readonly string[];
}

/**
 * The form fields of the EC2 and query protocols, where structure is spelled in the names: `InstanceId.1`, `Filter.1.Value.2`,
 * `Filters.Filter.1.Values.Value.1`, `Filters.member.1.Name`.
 */
export class QueryParameters {
  readonly #fields: ReadonlyMap<string, string>;

  constructor(form: string) {
    this.#fields = new Map(new URLSearchParams(form));
  }

  /** Everything but the name and version of the call, as it came. */
  fields(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#fields].filter(([name]) => name !== 'Action' && name !== 'Version'));
  }

  get(name: string): string | undefined {
    return this.#fields.get(name);
  }

  /** @throws ValidationError when absent or empty */
  require(name: string): string {
    const value = this.get(name);
    if (value) return value;
    throw new AwsFault('ValidationError', 400, `The request must contain the parameter ${name}.`);
  }

  /**
   * A whole number within the given bounds; undefined when absent.
   *
   * @throws InvalidParameterValue
   */
  integer(name: string, lowest: number, highest: number): number | undefined {
    const text = this.get(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= lowest && value <= highest) return value;
    throw new AwsFault(
      'InvalidParameterValue',
      400,
      `Value ( ${text} ) for parameter ${name} is invalid. Expecting a value between ${lowest} and ${highest}.`,
    );
  }

  /** `Name.1`, `Name.2` … or with a member name in between, in their order. */
  list(...names: readonly string[]): readonly string[] {
    return names.flatMap((name) => this.#numbered(name).map((prefix) => this.get(prefix) ?? ''));
  }

  /** Filters in either protocol's spelling. */
  filters(): readonly QueryFilter[] {
    const prefixes = ['Filter', 'Filters.Filter', 'Filters.member'].flatMap((name) => this.#numbered(name));
    return prefixes.map((prefix) => ({
      name: this.get(`${prefix}.Name`) ?? '',
      values: this.list(`${prefix}.Value`, `${prefix}.Values.Value`, `${prefix}.Values.member`),
    }));
  }

  /** `name.1`, `name.2` … for each number that occurs. */
  #numbered(name: string): readonly string[] {
    const numbers = new Set<number>();
    for (const field of this.#fields.keys()) {
      if (!field.startsWith(`${name}.`)) continue;
      const number = Number(field.slice(name.length + 1).split('.')[0]);
      if (Number.isInteger(number) && number > 0) numbers.add(number);
    }
    return [...numbers].sort((a, b) => a - b).map((number) => `${name}.${number}`);
  }
}
