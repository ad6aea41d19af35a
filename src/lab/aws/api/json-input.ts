import { AwsFault } from './aws-fault.ts';

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [member: string]: JsonValue | undefined;
}

interface TextRules {
  readonly min?: number;
  readonly max?: number;
  readonly pattern?: RegExp;
}

/** The body of a JSON 1.1 call, read member by member with the services' own complaints. */
export class JsonInput {
  readonly #members: Readonly<Record<string, unknown>>;

  constructor(members: Readonly<Record<string, unknown>>) {
    this.#members = members;
  }

  /** @throws SerializationException when the body is not a JSON object */
  static parse(body: string): JsonInput {
    let value: unknown;
    try {
      value = JSON.parse(body === '' ? '{}' : body);
    } catch {
      value = undefined;
    }
    return new JsonInput(asObject(value));
  }

  /** Everything, as it came. */
  members(): Readonly<Record<string, unknown>> {
    return this.#members;
  }

  /** @throws SerializationException, ValidationException */
  text(name: string, rules: TextRules = {}): string | undefined {
    const value = this.#members[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'string') throw wrongType(name);
    const { min = 0, max, pattern } = rules;
    if (value.length < min) throw violated(name, value, `Member must have length greater than or equal to ${min}`);
    if (max !== undefined && value.length > max)
      throw violated(name, value, `Member must have length less than or equal to ${max}`);
    if (pattern && !pattern.test(value))
      throw violated(name, value, `Member must satisfy regular expression pattern: ${pattern.source}`);
    return value;
  }

  requiredText(name: string, rules: TextRules = {}): string {
    const value = this.text(name, rules);
    if (value === undefined) throw violated(name, 'null', 'Member must not be null');
    return value;
  }

  integer(name: string, lowest: number, highest: number): number | undefined {
    const value = this.#members[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'number') throw wrongType(name);
    if (value < lowest)
      throw violated(name, String(value), `Member must have value greater than or equal to ${lowest}`);
    if (value > highest) throw violated(name, String(value), `Member must have value less than or equal to ${highest}`);
    return value;
  }

  textList(name: string): readonly string[] {
    return readTextList(name, this.#members[name] ?? []);
  }

  /** A list of structures, such as filters. */
  structures(name: string): readonly JsonInput[] {
    const value = this.#members[name] ?? [];
    if (!Array.isArray(value)) throw wrongType(name);
    return value.map((one: unknown) => new JsonInput(asObject(one)));
  }

  /** A map of strings. */
  textMap(name: string): Readonly<Record<string, string>> {
    const entries = Object.entries(asObject(this.#members[name] ?? {}));
    return Object.fromEntries(
      entries.map(([key, value]) => {
        if (typeof value !== 'string') throw wrongType(name);
        return [key, value];
      }),
    );
  }

  /** A map of lists of strings, as the parameters of a document. A bare string is refused, as the service does. */
  textListMap(name: string): Readonly<Record<string, readonly string[]>> {
    const entries = Object.entries(asObject(this.#members[name] ?? {}));
    return Object.fromEntries(entries.map(([key, value]) => [key, readTextList(name, value)]));
  }
}

function readTextList(name: string, value: unknown): readonly string[] {
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) throw wrongType(name);
  return value;
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new AwsFault('SerializationException', 400, 'Start of structure or map expected where not found');
}

const wrongType = (name: string): AwsFault =>
  new AwsFault('SerializationException', 400, `The value of member ${name} cannot be converted to its type`);

function violated(name: string, value: string, constraint: string): AwsFault {
  const member = name.charAt(0).toLowerCase() + name.slice(1);
  const what = `1 validation error detected: Value '${value}' at '${member}' failed to satisfy constraint: ${constraint}`;
  return new AwsFault('ValidationException', 400, what);
}
