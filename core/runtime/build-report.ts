import { failureOf } from '../config/config-error.ts';
import type { ConfigError, ConfigIssue, ConfigPath } from '../config/issue.ts';
import type { Secrets } from '../config/secrets.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { errorMessage } from '../errors.ts';
import { placed } from './placed.ts';

/**
 * What is found wrong while a snapshot is built, each with its line.
 *
 * Instances hold on to it, to warn of something later, and are carried over from generation to generation: so it lets go
 * of the snapshot when the build is over.
 */
export class BuildReport {
  readonly #secrets: Secrets;
  readonly #onWarning: (issue: ConfigIssue) => void;
  readonly #issues: ConfigIssue[];
  readonly #told = new Set<string>();
  #snapshot: Snapshot | undefined;

  constructor(snapshot: Snapshot, onWarning: (issue: ConfigIssue) => void, issues: readonly ConfigIssue[] = []) {
    this.#snapshot = snapshot;
    this.#secrets = snapshot.secrets;
    this.#onWarning = onWarning;
    this.#issues = [...issues];
  }

  /** What cannot be made is an issue at `path`, or at the place within that the error names. */
  async attempt<T>(path: ConfigPath, make: () => Promise<T>): Promise<T | undefined> {
    try {
      return await make();
    } catch (error) {
      const issue = placed(path, this.#secrets.redact(errorMessage(error)));
      this.issue(issue.path, issue.message);
      return undefined;
    }
  }

  /** One cause, one issue: an instance that two agents share fails for both. */
  issue(path: ConfigPath, message: string, rule = 'build', suggestion?: string): void {
    const told = JSON.stringify([path, message]);
    if (this.#told.has(told)) return;
    this.#told.add(told);
    this.#issues.push({ ...this.#issue(path, message, rule), ...(suggestion !== undefined && { suggestion }) });
  }

  warn(path: ConfigPath, message: string): void {
    const warning = placed(path, this.#secrets.redact(message));
    this.#onWarning(this.#issue(warning.path, warning.message, 'build'));
  }

  /** All that was found wrong, as one error; `undefined` when nothing was. */
  failure(): ConfigError | undefined {
    return this.#snapshot && this.#issues.length > 0 ? failureOf(this.#snapshot, this.#issues) : undefined;
  }

  /** The build is over: what is told from now on has no line. */
  end(): void {
    this.#snapshot = undefined;
  }

  #issue(path: ConfigPath, message: string, rule: string): ConfigIssue {
    return { path, message, rule, ...this.#snapshot?.locate(path) };
  }
}
