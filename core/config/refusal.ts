import { errorCode, errorMessage, HectorError } from '../errors.ts';
import type { ConfigDocument } from '../extension/config-provider.ts';
import { contentHash } from './content-hash.ts';
import { ConfigError } from './issue.ts';
import type { Snapshot } from './snapshot.ts';
import type { RejectedConfig, ReloadEvent } from './status.ts';

/** A document that could not be served, and what follows from it. */
export interface Refusal {
  readonly rejected: RejectedConfig;
  readonly result: Extract<ReloadEvent['result'], 'rejected' | 'load_error'>;
  /** The same document may do later: what is wrong may be mended outside of it. */
  readonly mayMend: boolean;
  /** The reason was not foreseen, and where it came from is worth logging. */
  readonly unforeseen: boolean;
  /** What the document refers to, as far as that is known: see Snapshot. */
  readonly files: ReadonlyMap<string, string> | undefined;
}

/** What may be mended from outside of the document: a variable, a file, a package, a server that a tool needs. */
const outside: ReadonlySet<string> = new Set(['variable', 'plugin', 'build']);

/** `snapshot`: what the document came to, if it got so far; the refusal holds none of its secrets. */
export function refusalOf(document: ConfigDocument, error: unknown, snapshot?: Snapshot): Refusal {
  const refused = error instanceof ConfigError ? error : undefined;
  const issues = refused?.issues ?? [];
  const code = errorCode(error);
  const definite = refused ? !issues.some(({ rule }) => outside.has(rule)) : isEmptiness(error);
  const message = errorMessage(error);
  return {
    rejected: {
      revision: document.revision,
      content_hash: contentHash(document),
      code: issues.some(({ rule }) => rule === 'build') ? 'build' : (code ?? 'unexpected'),
      message: snapshot ? snapshot.secrets.redact(message) : message,
      issues,
      at: new Date().toISOString(),
    },
    result: refused || isEmptiness(error) ? 'rejected' : 'load_error',
    mayMend: !definite,
    unforeseen: code === undefined,
    files: refused?.files,
  };
}

/** A file that was written a moment ago may not be complete. */
export function mayBePartial({ folder }: ConfigDocument, error: unknown): boolean {
  if (folder === undefined) return false;
  return isEmptiness(error) || (error instanceof ConfigError && error.issues.some(({ rule }) => rule === 'syntax'));
}

/** A document that has nothing in it is more likely an accident than the wish to serve nothing of what was there. */
export function refuseEmpty({ text, entries, missing, source }: ConfigDocument, serving: boolean): void {
  if (!missing && ![...(entries?.values() ?? [text])].every(saysNothing)) return;
  const what = missing ? `There is no configuration at ${source}` : `The configuration ${source} is empty`;
  const then = serving ? ', so what served before it goes on' : '';
  throw new HectorError(
    missing ? 'config_missing' : 'config_empty',
    `${what}${then}. Write one, or set config.allow_empty if the defaults are to be served.`,
  );
}

/** Blank lines, comments, the marks of a document, and the ways to write nothing. */
function saysNothing(text: string): boolean {
  return text.split('\n').every((line) => /^(?:$|#|(?:---|\.\.\.|~|null|\{\})(?:\s+#|$))/.test(line.trim()));
}

function isEmptiness(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'config_empty' || code === 'config_missing';
}
