import type { TaskEvent } from './event.ts';

/** One event of a run, and where it stands in the chain of them. */
export interface Entry {
  readonly number: number;
  readonly bytes: number;
  /** Whether it is no more than text that continues the answer. */
  readonly continues: boolean;
  /** The text alone where it continues the answer and is no longer fresh. The first entry of a chain stands for what was before it and holds none. */
  event: TaskEvent | string | undefined;
  next: Entry | undefined;
}

type ArtifactEvent = TaskEvent & { readonly type: 'artifact' };

export interface KeepLimits {
  readonly events: number;
  readonly bytes: number;
}

/** So many of the last events stay as they are, because those who keep up read them; of older ones that continue the answer only the text is kept. */
const fresh = 64;

/** What an event weighs beside its contents, and what a text does of which nothing else is kept. */
const eventBytes = 512;
const textBytes = 128;

/**
 * The last events of one run, from the first that anybody may have seen. An event's id names the run and its number, so it
 * is known of every id whether it is of this run and still kept.
 *
 * The events are a chain, of which this holds the last and the first that can be gone on from; whoever reads holds a place.
 */
export class KeptEvents {
  readonly #prefix: string;
  readonly #limits: KeepLimits;
  #last: Entry = { event: undefined, number: 0, bytes: 0, continues: false, next: undefined };
  /** What follows it is kept. Undefined: nobody has read anything yet. */
  #oldest: Entry | undefined;
  /** Up to this one only texts are kept. */
  #shortened: Entry | undefined;
  #bytes = 0;
  /** An event that continues the answer: the others say the same of themselves. */
  #sample: ArtifactEvent | undefined;

  /** `run` is a name that no other run of the task has. */
  constructor(run: string, limits: KeepLimits) {
    this.#prefix = `${run}-`;
    this.#limits = limits;
  }

  get last(): Entry {
    return this.#last;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether anything has been read, and so anything is kept. */
  get begun(): boolean {
    return this.#oldest !== undefined;
  }

  /** Somebody reads: from now on events are kept. */
  begin(): void {
    this.#oldest ??= this.#last;
    this.#shortened ??= this.#last;
  }

  idOf(number: number): string {
    return this.#prefix + number;
  }

  /** The event that comes next, once it is appended. `bytes`: what its contents weigh. */
  entry(event: TaskEvent, bytes: number, continues: boolean): Entry {
    if (continues) this.#sample ??= event as ArtifactEvent;
    return {
      event,
      number: this.#last.number + 1,
      bytes: bytes + (continues ? textBytes : eventBytes),
      continues,
      next: undefined,
    };
  }

  append(entry: Entry): void {
    this.#last.next = entry;
    this.#last = entry;
    if (!this.#oldest) return;
    this.#bytes += entry.bytes;
    this.#shorten();
    this.#trim(this.#oldest);
  }

  /** Whether a reader that has come this far costs no more than what is kept anyway. */
  reaches({ number }: Entry): boolean {
    return this.#oldest !== undefined && number >= this.#oldest.number;
  }

  /** The place after the event with this id. Undefined if that is not of this run, or not known any more. */
  place(id: string): Entry | undefined {
    const number = this.numberOf(id);
    if (number === undefined || number > this.#last.number) return undefined;
    let entry = this.#oldest;
    if (!entry || number < entry.number) return undefined;
    while (entry && entry.number < number) entry = entry.next;
    return entry;
  }

  /** What anybody sends may be looked at: most of it is not an id at all. */
  numberOf(id: string): number | undefined {
    const length = id.length - this.#prefix.length;
    if (length < 1 || length > 15 || !id.startsWith(this.#prefix)) return undefined;
    const digits = id.slice(this.#prefix.length);
    return /^(?:0|[1-9]\d*)$/.test(digits) ? Number(digits) : undefined;
  }

  eventOf({ event, number }: Entry): TaskEvent | undefined {
    if (typeof event !== 'string' || !this.#sample) return event as TaskEvent | undefined;
    const { artifact } = this.#sample;
    return { ...this.#sample, id: this.idOf(number), artifact: { ...artifact, parts: [{ text: event }] } };
  }

  #shorten(): void {
    const next = this.#shortened?.next;
    if (!next || this.#last.number - next.number < fresh) return;
    this.#shortened = next;
    if (next.continues) next.event = textOf(next.event as ArtifactEvent);
  }

  #trim(oldest: Entry): void {
    let first = oldest;
    while (first.next && (this.#last.number - first.number > this.#limits.events || this.#bytes > this.#limits.bytes)) {
      first = first.next;
      this.#bytes -= first.bytes;
    }
    this.#oldest = first;
  }
}

function textOf({ artifact: { parts } }: ArtifactEvent): string {
  const [part] = parts;
  return part && 'text' in part ? part.text : '';
}
