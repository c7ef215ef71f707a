/**
 * The rules that every answer is held against. `failed`: there was none, or an error. `cut`: a stream ended before its
 * answer did. `mixed`: one answer came from two revisions. `stale`: it came from a revision older than one that was said
 * to serve when the request began.
 */
export type Rule = 'failed' | 'cut' | 'mixed' | 'stale';

export type Breaches = Readonly<Record<Rule, number>>;

const maxExamples = 5;

/** Which revisions there are, what was asked, and what was wrong with the answers. */
export class Ledger {
  /** The newest that was written. */
  written = 0;
  /** The newest that was said to serve. */
  confirmed = 0;
  readonly answers = new Map<string, number>();
  readonly #breaches: Record<Rule, number> = { failed: 0, cut: 0, mixed: 0, stale: 0 };
  readonly #examples: string[] = [];
  #steadyInstance: string | undefined;

  get breaches(): Breaches {
    return this.#breaches;
  }

  get examples(): readonly string[] {
    return this.#examples;
  }

  get broken(): boolean {
    return Object.values(this.#breaches).some((count) => count > 0);
  }

  /** The instance of the unchanged model that answered first. */
  steadyInstance(seen: string): string {
    this.#steadyInstance ??= seen;
    return this.#steadyInstance;
  }

  answered(kind: string): void {
    this.answers.set(kind, (this.answers.get(kind) ?? 0) + 1);
  }

  breach(rule: Rule, what: string): void {
    if (this.#breaches[rule]++ < maxExamples) this.#examples.push(`${rule}: ${what.slice(0, 300)}`);
  }
}
