/** What a configuration says. */
export interface ConfigContent {
  /** YAML or JSON; YAML reads both. Empty where there are `entries`. */
  readonly text: string;
  /**
   * The texts below a key that ends in `/`, by their paths from there on: `agents/writer`, `server`. Together they are one
   * document: what stands at `agents/writer` is the value of `writer` in the section `agents`.
   */
  readonly entries?: ReadonlyMap<string, string>;
}

export interface ConfigDocument extends ConfigContent {
  /** Where it came from, for logs and error messages: `/etc/hector/config.yaml`, `consul:hector/prod`. */
  readonly source: string;
  /** The source's own version of it (content hash, ModifyIndex, mod_revision, zxid). Equal revisions, equal content. */
  readonly revision: string;
  /** The folder that relative paths in the document start from; absent where they are refused (a remote document). */
  readonly folder?: string;
  /** There is nothing at the key. `text` is empty. */
  readonly missing?: boolean;
}

/**
 * Reads one configuration document and follows it.
 *
 * `watch` yields the document as it is now, then once more after every change. It may skip states that were overwritten
 * before they could be read, but ends on the newest; it never yields a state that never was, such as a half of a write to
 * several keys. It may yield the same document again, which says no more than that the source was reached, and does so at
 * least once a minute. A key that is not there is a document too (`missing`), so its creation is a change like any other.
 * When the source cannot be reached it throws, as soon as that is known: the core backs off and calls `watch` again, and
 * the last good configuration goes on serving. It returns when `signal` aborts.
 */
export interface ConfigProvider extends Partial<AsyncDisposable> {
  watch(signal: AbortSignal): AsyncIterable<ConfigDocument>;
  /**
   * Compare-and-set on `expected` (`undefined`: create only), all of the content or nothing. Returns the new revision, that
   * with which `watch` yields this content. Throws a HectorError: `conflict` if the revision has moved, `too_large` if the
   * source cannot hold it, `forbidden` if it refuses these credentials.
   */
  write?(content: ConfigContent, expected: string | undefined, signal: AbortSignal): Promise<string>;
  /** Small texts beside the configuration. */
  readonly annex?: ConfigAnnex;
}

/**
 * Small texts that are kept beside the configuration and are no part of it: its earlier revisions (`history/…`) and who
 * runs it (`replicas/…`). Paths have segments of letters, digits, `.`, `_` and `-`, with `/` between them.
 */
export interface ConfigAnnex {
  /** The paths below a folder, from there on, in no order; empty when there are none. */
  list(folder: string, signal: AbortSignal): Promise<readonly string[]>;
  read(path: string, signal: AbortSignal): Promise<string | undefined>;
  write(path: string, text: string, signal: AbortSignal): Promise<void>;
  /** Of a path and everything below it. What is not there is removed already. */
  remove(path: string, signal: AbortSignal): Promise<void>;
  /**
   * Keeps a text there for as long as this process lives: through lost connections and expired sessions, until it is
   * disposed. When the process dies the source itself removes it, within a minute. Absent where the source cannot do that.
   * Returns at once; what cannot be written is written later.
   */
  announce?(path: string, text: string): Announcement;
}

export interface Announcement extends AsyncDisposable {
  /** Puts another text in place of the one before. */
  update(text: string): void;
}
