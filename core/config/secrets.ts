/** Replaces what came from a reference (`${API_KEY}`, `${file:…}`) wherever text leaves the process. */
export class Secrets {
  readonly #values: ReadonlySet<string>;

  /** Values of fewer than six characters are left out: they would black out half of any text. */
  constructor(values: Iterable<string>) {
    this.#values = new Set([...values].filter((value) => value.length >= 6).sort((a, b) => b.length - a.length));
  }

  get values(): Iterable<string> {
    return this.#values;
  }

  redact(text: string): string {
    let redacted = text;
    for (const value of this.#values) if (redacted.includes(value)) redacted = redacted.replaceAll(value, '***');
    return redacted;
  }
}
