/** What AWS knows about a request besides action and resource: key → value or values. Keys do not depend on case. */
export type IamContext = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The values of one key. */
export type ContextValue =
  | { readonly kind: 'absent' }
  | { readonly kind: 'single'; readonly value: string }
  | { readonly kind: 'list'; readonly values: readonly string[] };

const ABSENT: ContextValue = { kind: 'absent' };

/** A context that can be asked. */
export class ContextKeys {
  readonly #values = new Map<string, ContextValue>();

  constructor(context: IamContext) {
    for (const [key, value] of Object.entries(context)) {
      if (value === undefined) continue;
      // A key without any value counts as one that is not there (IAM user guide, "Null").
      if (typeof value === 'string') this.#values.set(key.toLowerCase(), { kind: 'single', value });
      else if (value.length > 0) this.#values.set(key.toLowerCase(), { kind: 'list', values: value });
    }
  }

  get(key: string): ContextValue {
    return this.#values.get(key.toLowerCase()) ?? ABSENT;
  }

  /** For `${key}`: keys with several values cannot be filled in. */
  readonly single = (key: string): string | undefined => {
    const found = this.get(key);
    return found.kind === 'single' ? found.value : undefined;
  };
}
