export interface ConfigDocument {
  /** YAML or JSON; YAML reads both. */
  readonly text: string;
  /** Where it came from, for logs and error messages: `/etc/hector/config.yaml`, `consul:hector/prod`. */
  readonly source: string;
  /** The source's own version of it (mtime, ModifyIndex, revision, zxid). */
  readonly revision: string;
  /** The folder that relative paths in the document start from; absent where they are refused (a remote document). */
  readonly folder?: string;
}

/**
 * Reads one configuration document and follows it.
 *
 * `watch` yields the document as it is now, then once more after every change. It may skip states that were overwritten
 * before they could be read, but ends on the newest. When the source cannot be read it throws: the core backs off and
 * calls `watch` again, and the last good configuration goes on serving. It returns when `signal` aborts.
 */
export interface ConfigProvider extends Partial<AsyncDisposable> {
  watch(signal: AbortSignal): AsyncIterable<ConfigDocument>;
  /** Compare-and-set on `expected` (`undefined`: create only). Returns the new revision, throws `conflict` if it has moved. */
  write?(text: string, expected: string | undefined, signal: AbortSignal): Promise<string>;
}
