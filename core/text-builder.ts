/** Pieces that are put together at once. */
const blockSize = 64;

/**
 * A text that grows by small pieces and is read seldom. A string that grows by `+=` holds every piece, and a link to it,
 * until it is read: many times the text when the pieces are a model's tokens. Here pieces become blocks, and no
 * character is copied more than twice.
 */
export class TextBuilder {
  #blocks: string[] = [];
  #pieces: string[] = [];
  #length = 0;

  constructor(text = '') {
    this.append(text);
  }

  /** In UTF-16 code units. */
  get length(): number {
    return this.#length;
  }

  append(piece: string): void {
    if (piece === '') return;
    this.#length += piece.length;
    this.#pieces.push(piece);
    if (this.#pieces.length < blockSize) return;
    this.#blocks.push(this.#pieces.join(''));
    this.#pieces = [];
  }

  toString(): string {
    if (this.#blocks.length + this.#pieces.length > 1) {
      this.#blocks = [this.#blocks.concat(this.#pieces).join('')];
      this.#pieces = [];
    }
    return this.#blocks[0] ?? this.#pieces[0] ?? '';
  }
}
