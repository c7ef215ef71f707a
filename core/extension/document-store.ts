export interface SearchHit {
  /** What the document is called where it comes from: a path below the folder, a URL. */
  readonly document: string;
  /** The passage that matched. */
  readonly text: string;
  /** Higher is better; comparable within one store only. */
  readonly score: number;
}

export interface SearchRequest {
  readonly query: string;
  /** At most this many hits; absent: as many as the store's `search.top_k`. */
  readonly limit?: number;
}

/** Finds passages in a body of documents. `create` returns when the first index is complete. */
export interface DocumentStore extends Partial<AsyncDisposable> {
  search(request: SearchRequest, signal: AbortSignal): Promise<readonly SearchHit[]>;
}
