import { ConfigError, type ConfigIssue } from './issue.ts';
import { Secrets } from './secrets.ts';
import { showable } from './sensitive.ts';
import type { Snapshot } from './snapshot.ts';
import type { ConfigText } from './text.ts';

interface Context {
  readonly texts: readonly Pick<ConfigText, 'source' | 'text'>[];
  readonly secrets: Iterable<string>;
  readonly files: ReadonlyMap<string, string>;
}

/** An error about a snapshot that could not be built. */
export function failureOf(snapshot: Snapshot, issues: readonly ConfigIssue[]): ConfigError {
  const { source, texts, secrets, files } = snapshot;
  const all = [...texts].map(([name, text]) => ({ source: name, text }));
  return configError(source, issues, { texts: all, secrets: secrets.values, files });
}

/** An error with the texts that its issues are about, so that they can be shown: without their secrets. */
export function configError(
  source: string,
  issues: readonly ConfigIssue[],
  { texts, secrets, files }: Context,
): ConfigError {
  const needed = new Set(issues.map((issue) => issue.source ?? source));
  const known = new Secrets(secrets);
  const told = issues.map((issue) => withoutSecrets(issue, known));
  const shown = texts
    .filter((each) => needed.has(each.source))
    .map((each) => [each.source, showable(each.text, known)] as const);
  return new ConfigError(source, told, { texts: new Map(shown), files });
}

/** A value that is wrong is often a part of the sentence that says so. */
function withoutSecrets(issue: ConfigIssue, secrets: Secrets): ConfigIssue {
  const { message, suggestion } = issue;
  return {
    ...issue,
    message: secrets.redact(message),
    ...(suggestion !== undefined && { suggestion: secrets.redact(suggestion) }),
  };
}
