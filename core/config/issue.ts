import { HectorError } from '../errors.ts';
import type { Place } from './text.ts';

/** A path into the document: `['agents', 'writer', 'tools', 0]`. */
export type ConfigPath = readonly (string | number)[];

export interface ConfigIssue extends Place {
  readonly path: ConfigPath;
  /** A sentence without its place: `no LLM is named "gpt" (defined: claude, gpt4)`. */
  readonly message: string;
  /** Which rule was broken: `limit`, `syntax`, `schema`, `reference`, `variable`, `plugin`, `coming`, `build`. */
  readonly rule: string;
  readonly suggestion?: string;
}

export interface ConfigErrorOptions extends ErrorOptions {
  /** By source, the texts that issues are about, without their secrets: for code frames. */
  readonly texts?: ReadonlyMap<string, string>;
  /** Files that the configuration refers to, as far as it was read: see Snapshot. A change of one may put it right. */
  readonly files?: ReadonlyMap<string, string>;
}

/** A configuration that cannot be used. Lists everything that is wrong with it, in the order of the document. */
export class ConfigError extends HectorError {
  readonly source: string;
  readonly issues: readonly ConfigIssue[];
  readonly files: ReadonlyMap<string, string>;
  readonly #texts: ReadonlyMap<string, string>;

  constructor(source: string, issues: readonly ConfigIssue[], options: ConfigErrorOptions = {}) {
    super('config', issues.map((issue) => formatIssue(source, issue)).join('\n'), options);
    this.name = 'ConfigError';
    this.source = source;
    this.issues = issues;
    this.files = options.files ?? new Map();
    this.#texts = options.texts ?? new Map();
  }

  /** The text that an issue is about, without its secrets; absent when it could not be read. */
  textOf(issue: ConfigIssue): string | undefined {
    return this.#texts.get(issue.source ?? this.source);
  }
}

/** `agents.writer.tools[0]` */
export function formatPath(path: ConfigPath): string {
  let text = '';
  for (const step of path) text += typeof step === 'number' ? `[${step}]` : text === '' ? step : `.${step}`;
  return text;
}

/** What `formatPath` makes of a path, back again; the steps of names that hold dots cannot be told from others. */
export function parsePath(text: string): ConfigPath {
  const path: (string | number)[] = [];
  for (const [, index, name] of text.matchAll(/\[([0-9]+)\]|([^.[\]]+)/g))
    path.push(index === undefined ? String(name) : Number(index));
  return path;
}

/** `hector.yaml:14:5 agents.writer.llm: no LLM is named "gpt" (defined: claude, gpt4). Did you mean "gpt4"?` */
export function formatIssue(source: string, issue: ConfigIssue): string {
  const place = formatPlace(source, issue);
  const path = issue.path.length > 0 ? ` ${formatPath(issue.path)}` : '';
  const hint = issue.suggestion === undefined ? '' : ` Did you mean "${issue.suggestion}"?`;
  const sentence = /[.?!]$/.test(issue.message) || hint === '' ? issue.message : `${issue.message}.`;
  return `${place}${path}: ${sentence}${hint}`;
}

/** `--port`, `hector.yaml:14:5`, or what the document is called where there is no line. */
export function formatPlace(document: string, place: Place): string {
  const source = place.source ?? document;
  return place.origin ?? (place.line === undefined ? source : `${source}:${place.line}:${place.column ?? 1}`);
}
