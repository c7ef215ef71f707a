import { type ConfigIssue, type ConfigPath, formatPath } from './issue.ts';
import type { Place } from './text.ts';
import type { ConfigTree } from './tree.ts';

const maxErrors = 200;

/** Something wrong, with its sentence still to be made: it may cost a search for what was meant. */
interface Finding {
  readonly path: ConfigPath;
  readonly rule: string;
  readonly place: Place;
  say(): { readonly message: string; readonly suggestion?: string | undefined };
}

/** Collects what is wrong with a document, or likely not meant, each with the place where it was written. */
export class Findings {
  readonly tree: ConfigTree;
  readonly #errors: Finding[] = [];
  readonly #warnings: Finding[] = [];
  readonly #reported = new Set<string>();

  constructor(tree: ConfigTree) {
    this.tree = tree;
  }

  get failed(): boolean {
    return this.#errors.length > 0;
  }

  error(path: ConfigPath, rule: string, message: string, suggestion?: string): void {
    this.errorLater(path, rule, () => ({ message, suggestion }));
  }

  /** The sentence is only asked for if the error is among those that are shown. */
  errorLater(path: ConfigPath, rule: string, say: Finding['say']): void {
    const name = formatPath(path);
    // The references in one text are as many mistakes; anything else about a value that is wrong already follows from that.
    if (rule !== 'variable' && (this.#reported.has(name) || this.tree.originAt(path)?.unresolved)) return;
    this.#reported.add(name);
    this.#errors.push(this.#finding(path, rule, say));
  }

  warn(path: ConfigPath, rule: string, message: string): void {
    this.#warnings.push(this.#finding(path, rule, () => ({ message })));
  }

  #finding(path: ConfigPath, rule: string, say: Finding['say']): Finding {
    return { path: this.tree.written(path), rule, place: this.tree.locate(path), say };
  }

  /** In the order of the document, with those about other parts of it. */
  errors(others: readonly Findings[] = []): ConfigIssue[] {
    const all = [this, ...others].flatMap((each) => each.#errors);
    return firstOf(
      all.sort((a, b) => byPlace(a.place, b.place)),
      issue,
    );
  }

  warnings(): ConfigIssue[] {
    return this.#warnings.sort((a, b) => byPlace(a.place, b.place)).map(issue);
  }
}

/** As many as somebody may want to read. */
export function firstOf<T>(errors: readonly T[], toIssue: (error: T) => ConfigIssue): ConfigIssue[] {
  const shown = errors.slice(0, maxErrors).map(toIssue);
  const more = errors.length - shown.length;
  return more > 0 ? [...shown, { path: [], rule: 'limit', message: `and ${more} more` }] : shown;
}

function issue({ path, rule, place, say }: Finding): ConfigIssue {
  const { message, suggestion } = say();
  return suggestion === undefined ? { path, message, rule, ...place } : { path, message, rule, suggestion, ...place };
}

/** Text by text; what has no place in any comes last. */
export function byPlace(a: Place, b: Place): number {
  if (a.line === undefined || b.line === undefined) return Number(a.line === undefined) - Number(b.line === undefined);
  const [first = '', second = ''] = [a.source, b.source];
  if (first !== second) return first < second ? -1 : 1;
  return a.line - b.line || (a.column ?? 0) - (b.column ?? 0);
}
