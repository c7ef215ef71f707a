import { HectorError } from '../errors.ts';

/** A path into the document: `['agents', 'writer', 'tools', 0]`. */
export type ConfigPath = readonly (string | number)[];

export interface ConfigIssue {
  readonly path: ConfigPath;
  /** A sentence without its place: `no LLM is named "gpt" (defined: claude, gpt4)`. */
  readonly message: string;
  /** Which rule was broken: `limit`, `syntax`, `schema`, `reference`, `variable`, `plugin`, `coming`, `build`. */
  readonly rule: string;
  readonly suggestion?: string;
  /** 1-based; absent where the value did not come from a document (a flag, a default). */
  readonly line?: number;
  readonly column?: number;
  /** The flag it came from, where it did: `--port`. */
  readonly origin?: string;
}

/** A configuration that cannot be used. Lists everything that is wrong with it, in the order of the document. */
export class ConfigError extends HectorError {
  readonly source: string;
  readonly issues: readonly ConfigIssue[];
  /** The document's text without its secrets, for code frames; absent when it could not be read. */
  readonly text: string | undefined;

  constructor(source: string, issues: readonly ConfigIssue[], text?: string, options?: ErrorOptions) {
    super('config', issues.map((issue) => formatIssue(source, issue)).join('\n'), options);
    this.name = 'ConfigError';
    this.source = source;
    this.issues = issues;
    this.text = text;
  }
}

/** `agents.writer.tools[0]` */
export function formatPath(path: ConfigPath): string {
  let text = '';
  for (const step of path) text += typeof step === 'number' ? `[${step}]` : text === '' ? step : `.${step}`;
  return text;
}

/** `hector.yaml:14:5 agents.writer.llm: no LLM is named "gpt" (defined: claude, gpt4). Did you mean "gpt4"?` */
export function formatIssue(source: string, issue: ConfigIssue): string {
  const place = issue.origin ?? (issue.line === undefined ? source : `${source}:${issue.line}:${issue.column ?? 1}`);
  const path = issue.path.length > 0 ? ` ${formatPath(issue.path)}` : '';
  const hint = issue.suggestion === undefined ? '' : ` Did you mean "${issue.suggestion}"?`;
  const sentence = /[.?!]$/.test(issue.message) || hint === '' ? issue.message : `${issue.message}.`;
  return `${place}${path}: ${sentence}${hint}`;
}
