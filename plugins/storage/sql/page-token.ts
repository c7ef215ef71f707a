import { HectorError, type Page } from '../../../core/index.ts';

export const encodeToken = (place: readonly string[]) => Buffer.from(JSON.stringify(place)).toString('base64url');

/** The place that a token stands for: as many texts as the order has columns. */
export function decodeToken<const N extends number>(token: string, length: N): string[] & { readonly length: N } {
  try {
    const place = JSON.parse(Buffer.from(token, 'base64url').toString()) as unknown;
    if (
      Array.isArray(place) &&
      place.length === length &&
      place.every((each) => typeof each === 'string' && !each.includes('\0'))
    )
      return place as string[] & { readonly length: N };
  } catch {
    // Told below, like every other token that is none of ours.
  }
  throw new HectorError('invalid_page_token', 'The page token is not one that an earlier page gave.');
}

/** A page of rows of which one more was read than it has room for. */
export function pageOf<R, T>(
  rows: readonly R[],
  pageSize: number,
  place: (row: R) => readonly string[],
  item: (row: R) => T,
): Page<T> {
  const shown = rows.slice(0, pageSize);
  const last = shown.at(-1);
  const items = shown.map(item);
  return last !== undefined && rows.length > pageSize ? { items, nextPageToken: encodeToken(place(last)) } : { items };
}
