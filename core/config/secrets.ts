const shortest = 6;
/** With more forms than this, a text is read once for all of them and not once for each. */
const few = 100;

/**
 * Replaces what came from a reference (`${API_KEY}`, `${file:…}`) wherever text leaves the process: as it is, as it looks
 * inside of JSON and of a URL, and where it is a part of something in base64 (`Authorization: Basic …`).
 */
export class Secrets {
  readonly #values: ReadonlySet<string>;
  #forms: readonly string[] | undefined;
  #index: ReadonlyMap<string, readonly string[]> | undefined;

  /** Values of fewer than six characters are left out: they would black out half of any text. */
  constructor(values: Iterable<string>) {
    this.#values = new Set([...values].filter((value) => value.length >= shortest));
  }

  get values(): Iterable<string> {
    return this.#values;
  }

  redact(text: string): string {
    return this.#replaced(text, () => '***');
  }

  /** Like `redact`, but nothing in the text moves. */
  mask(text: string): string {
    return this.#replaced(text, (form) => form.replace(/[^\n]/g, '*'));
  }

  #replaced(text: string, stars: (form: string) => string): string {
    // Most are never asked.
    this.#forms ??= [...new Set([...this.#values].flatMap(formsOf))].sort((a, b) => b.length - a.length);
    if (this.#forms.length > few) return this.#replacedInOne(text, this.#forms, stars);
    let replaced = text;
    for (const form of this.#forms) if (replaced.includes(form)) replaced = replaced.replaceAll(form, stars(form));
    return replaced;
  }

  #replacedInOne(text: string, forms: readonly string[], stars: (form: string) => string): string {
    this.#index ??= byBeginning(forms);
    let replaced = '';
    let done = 0;
    for (let at = 0; at <= text.length - shortest; ) {
      const form = this.#index.get(text.slice(at, at + shortest))?.find((each) => text.startsWith(each, at));
      if (form === undefined) at++;
      else {
        replaced += text.slice(done, at) + stars(form);
        at += form.length;
        done = at;
      }
    }
    return replaced + text.slice(done);
  }
}

function byBeginning(forms: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const index = new Map<string, string[]>();
  for (const form of forms) {
    const beginning = form.slice(0, shortest);
    const others = index.get(beginning);
    if (others) others.push(form);
    else index.set(beginning, [form]);
  }
  return index;
}

function formsOf(value: string): string[] {
  const json = inJson(value);
  // Half a character, which no URL can hold, becomes a sign that there was one.
  const url = encodeURIComponent(Buffer.from(value).toString());
  const forms = [value, json, inJson(json), url, url.replaceAll('%20', '+'), ...inBase64(value)];
  return forms.filter((form) => form.length >= shortest);
}

const inJson = (text: string) => JSON.stringify(text).slice(1, -1);

/** What base64 has of it wherever it begins in a group of three bytes, without the characters that its neighbours share. */
function inBase64(value: string): string[] {
  return [0, 1, 2].flatMap((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(value)]);
    const own = bytes.toString('base64').slice(Math.ceil((before * 8) / 6), Math.floor((bytes.length * 8) / 6));
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')];
  });
}
