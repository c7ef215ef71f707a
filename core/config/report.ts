import { bold, codeFrame, type FrameOptions, red } from './code-frame.ts';
import { ConfigError, type ConfigIssue, formatIssue, formatPath } from './issue.ts';
import type { Snapshot } from './snapshot.ts';

/** Everything that is wrong with a configuration, each with the lines of the document that it is about. For terminals. */
export function formatReport(error: ConfigError, { color = false }: FrameOptions = {}): string {
  const frames = error.issues.map((issue) => {
    const sentence = bold(formatIssue(error.source, issue), color);
    const text = error.textOf(issue);
    if (issue.line === undefined || text === undefined) return `${sentence}\n`;
    return `${sentence}\n${codeFrame(text, issue.line, issue.column ?? 1, { color })}\n`;
  });
  const sources = new Set(error.issues.map(({ source }) => source ?? error.source));
  const [where = error.source] = sources.size === 1 ? sources : [];
  const count = error.issues.length === 1 ? '1 error' : `${error.issues.length} errors`;
  return `${frames.join('\n')}\n${red(`${count} in ${where}`, color)}\n`;
}

/** `source`: the text it is in, where that is not `file` itself but one of its entries, or the local file. */
export interface ReportedIssue extends Omit<ConfigIssue, 'path'> {
  readonly path: string;
}

export interface Report {
  readonly valid: boolean;
  readonly file: string;
  readonly errors: readonly ReportedIssue[];
  readonly warnings: readonly ReportedIssue[];
}

/** The same for programs. `warnings` are what came up after the snapshot was made. */
export function reportJson(result: ConfigError | Snapshot, warnings: readonly ConfigIssue[] = []): Report {
  if (result instanceof ConfigError) {
    return { valid: false, file: result.source, errors: result.issues.map(reported), warnings: warnings.map(reported) };
  }
  return { valid: true, file: result.source, errors: [], warnings: [...result.warnings, ...warnings].map(reported) };
}

function reported({ path, ...issue }: ConfigIssue): ReportedIssue {
  return { path: formatPath(path), ...issue };
}
