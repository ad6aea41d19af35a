/** What the lab's Secrets Manager and Secret Manager hold, by name. Tests and practice put more in. */
export class LabSecrets {
  readonly #texts = new Map<string, string>();

  constructor(texts: Readonly<Record<string, string>> = {}) {
    for (const [name, text] of Object.entries(texts)) this.#texts.set(name, text);
  }

  set(name: string, text: string): void {
    this.#texts.set(name, text);
  }

  /** All names, as they were put in. */
  names(): readonly string[] {
    return [...this.#texts.keys()];
  }

  get(name: string): string | undefined {
    return this.#texts.get(name);
  }
}

/** The practice login, in the form in which RDS keeps those it manages. */
export const PRACTICE_LOGIN = JSON.stringify({ username: 'app_reader', password: 'lab-reader' });
