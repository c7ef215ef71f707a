/** Replaces what came from a reference (`${API_KEY}`, `${file:…}`) wherever text leaves the process. */
export class Secrets {
  readonly #values: ReadonlySet<string>;
  /** Each value as it is and as it looks inside of JSON, the longest first. */
  readonly #forms: readonly string[];

  /** Values of fewer than six characters are left out: they would black out half of any text. */
  constructor(values: Iterable<string>) {
    this.#values = new Set([...values].filter((value) => value.length >= 6));
    const forms = [...this.#values].flatMap((value) => [value, JSON.stringify(value).slice(1, -1)]);
    this.#forms = [...new Set(forms)].sort((a, b) => b.length - a.length);
  }

  get values(): Iterable<string> {
    return this.#values;
  }

  redact(text: string): string {
    let redacted = text;
    for (const form of this.#forms) if (redacted.includes(form)) redacted = redacted.replaceAll(form, '***');
    return redacted;
  }

  /** Like `redact`, but nothing in the text moves. */
  mask(text: string): string {
    let masked = text;
    for (const form of this.#forms)
      if (masked.includes(form)) masked = masked.replaceAll(form, form.replace(/[^\n]/g, '*'));
    return masked;
  }
}
