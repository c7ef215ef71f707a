/** Cuts what a process writes into lines, of which none is longer than the bound. */
export class LineBuffer {
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #size = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The lines that are complete now, without their ends. Throws a RangeError when one is too long. */
  *add(chunk: Buffer): Generator<string> {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      this.#keep(chunk.subarray(start, end));
      start = end + 1;
      const line = Buffer.concat(this.#pieces, this.#size).toString('utf8');
      this.#pieces = [];
      this.#size = 0;
      yield line.endsWith('\r') ? line.slice(0, -1) : line;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
  }

  #keep(piece: Buffer): void {
    this.#size += piece.length;
    if (this.#size > this.#maxBytes) {
      this.#pieces = [];
      this.#size = 0;
      throw new RangeError(`a line of more than ${this.#maxBytes} bytes`);
    }
    this.#pieces.push(piece);
  }
}
