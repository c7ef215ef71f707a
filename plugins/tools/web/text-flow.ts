/** Text as it flows: white space is one space, and breaks are as wide as the widest that was asked for. */
export class TextFlow {
  readonly #pieces: string[] = [];
  #breaks = 0;
  #space = false;
  #preformatted = 0;
  /** Goes before the next word. */
  #prefix = '';

  text(text: string): void {
    if (this.#preformatted > 0) {
      this.#add(text.replaceAll('\r', ''));
      return;
    }
    const words = text.split(/\s+/);
    for (const [index, word] of words.entries()) {
      if (index > 0) this.#space = true;
      if (word !== '') this.#add(word);
    }
  }

  /** Where nothing follows it says nothing. */
  before(prefix: string): void {
    this.#prefix += prefix;
  }

  /** Belongs to what was said last; where nothing was said, what was to go before it goes with it. */
  after(suffix: string): void {
    if (this.#prefix.endsWith('[') && suffix.startsWith(']')) this.#prefix = this.#prefix.slice(0, -1);
    else if (suffix !== '' && this.#pieces.length > 0) this.#pieces.push(suffix);
  }

  breakLine(lines: number): void {
    this.#breaks = Math.max(this.#breaks, lines);
    this.#prefix = '';
  }

  preformatted(on: boolean): void {
    this.#preformatted = Math.max(0, this.#preformatted + (on ? 1 : -1));
  }

  toString(): string {
    const lines = this.#pieces.join('').split('\n');
    return lines
      .map((line) => line.trimEnd())
      .join('\n')
      .trim();
  }

  #add(text: string): void {
    if (text === '') return;
    if (this.#pieces.length > 0) {
      if (this.#breaks > 0) this.#pieces.push('\n'.repeat(this.#breaks));
      else if (this.#space) this.#pieces.push(' ');
    }
    this.#pieces.push(this.#prefix, text);
    this.#prefix = '';
    this.#breaks = 0;
    this.#space = false;
  }
}
