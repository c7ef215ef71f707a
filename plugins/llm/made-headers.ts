/**
 * Where `http.ts` finds headers that were made before. Under a symbol, because the SDK writes all that it sees of them into
 * a debug line, whether that is wanted or not.
 */
export const madeHeaders = Symbol('made headers');
