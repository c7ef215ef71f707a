import { HectorError } from '../../core/errors.ts';

/** Where a list of tasks goes on, and how many have been given by then: what a total is told from. */
export interface PageToken {
  readonly seen: number;
  /** The task engine's. Absent at the ends of the list. */
  readonly token: string | undefined;
}

const form = /^(0|[1-9]\d{0,8})\.(.+)$/s;

/** Throws `invalid_page_token` for one that no page gave. */
export function readPageToken(text: string): PageToken {
  if (text === '') return { seen: 0, token: undefined };
  const [, seen, token] = form.exec(text) ?? [];
  if (token === undefined) {
    throw new HectorError('invalid_page_token', 'The page token is not one that an earlier page gave.');
  }
  return { seen: Number(seen), token };
}

/** Empty at the end of the list. */
export function writePageToken({ seen, token }: PageToken): string {
  return token === undefined ? '' : `${seen}.${token}`;
}
