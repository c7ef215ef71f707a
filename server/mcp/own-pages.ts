import { isIP } from 'node:net';
import { HttpError } from '../http-error.ts';

export interface OwnPagesOptions {
  /** Of the request, if it has one: browsers send it. */
  readonly origin: string | undefined;
  /** What the caller typed to come here. */
  readonly own: string;
  /** Whether `own` is configured, and not what the request says of itself. */
  readonly known: boolean;
}

/**
 * Lets pages of this server's own origin ask, and programs, which have none; refuses the pages of others.
 *
 * What a request says of the host it was sent to proves nothing by itself: somebody else's name can be made to lead here
 * (DNS rebinding), and then that one's page has the same origin as its request. An address, and `localhost`, cannot.
 */
export function requireOwnPage({ origin, own, known }: OwnPagesOptions): void {
  if (origin === undefined) return;
  const { origin: expected, hostname } = new URL(own);
  if (origin === expected && (known || isFixed(hostname))) return;
  throw new HttpError(
    403,
    'foreign_origin',
    'Pages of other origins may not ask here. If this is a page of this server, set server.public_url.',
  );
}

function isFixed(hostname: string): boolean {
  return hostname === 'localhost' || isIP(hostname.replace(/^\[|\]$/g, '')) !== 0;
}
