import { errorCode, errorMessage, HectorError } from '../../../core/errors.ts';
import { oneLine } from './text.ts';

export interface RemoteHttpOptions {
  /** Of the address that was named. What a card or a redirect leads to elsewhere gets none of the headers. */
  readonly origin: string;
  readonly headers: Headers;
}

const maxRedirects = 5;

/** `fetch` that brings the credentials along, and whose failures are sentences. */
export function remoteFetch({ origin, headers }: RemoteHttpOptions): typeof fetch {
  return async (input, init) => {
    let url = new URL(input instanceof Request ? input.url : input);
    for (let hop = 0; ; hop++) {
      const known = url.origin === origin;
      const sent = new Headers(init?.headers);
      if (known) for (const [name, value] of headers) sent.set(name, value);
      const response = await reach(url, { ...init, headers: sent, redirect: 'manual' });
      const { status } = response;
      if (status === 401 || status === 403) {
        await response.body?.cancel();
        throw denied(url, status, { given: [...headers].length > 0, known, origin });
      }
      const target = status >= 300 && status < 400 ? response.headers.get('location') : null;
      if (target === null) return response;
      await response.body?.cancel();
      const next = targetOf(url, target);
      if ((init?.method ?? 'GET') !== 'GET' || hop >= maxRedirects) {
        throw new HectorError(
          'remote_redirected',
          `${shown(url)} says that it is at ${shown(next)}. Give that address instead.`,
        );
      }
      url = next;
    }
  };
}

async function reach(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    init.signal?.throwIfAborted();
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    const code = errorCode(cause);
    const why = (code && reasons[code]) || oneLine(errorMessage(cause), 200) || code || 'the connection failed';
    throw new HectorError(
      'remote_unreachable',
      `${shown(url)} cannot be reached: ${why}. Check the address, and that the server runs.`,
      { cause: error },
    );
  }
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there (ECONNREFUSED)',
  ENOTFOUND: 'there is no such host (ENOTFOUND)',
  EAI_AGAIN: 'the name of the host cannot be looked up (EAI_AGAIN)',
  ECONNRESET: 'the connection was cut (ECONNRESET)',
  UND_ERR_SOCKET: 'the connection was cut',
  UND_ERR_CONNECT_TIMEOUT: 'the host does not answer',
  ETIMEDOUT: 'the host does not answer (ETIMEDOUT)',
  UND_ERR_HEADERS_TIMEOUT: 'it has taken the request and does not answer',
};

function denied(url: URL, status: number, sent: { given: boolean; known: boolean; origin: string }): HectorError {
  const where = shown(url);
  if (sent.given && !sent.known) {
    return new HectorError(
      'remote_denied',
      `${where} wants credentials (${status}), and yours are only sent to ${sent.origin}, which was named. To send them there, give an address at ${url.origin}.`,
    );
  }
  const message = sent.given
    ? `${where} does not accept the credentials (${status}). Check the token, or the headers.`
    : `${where} wants credentials (${status}). Give a token in HECTOR_TOKEN or with --token-file, or a --header.`;
  return new HectorError('remote_denied', message);
}

function targetOf(url: URL, location: string): URL {
  try {
    return new URL(location, url);
  } catch {
    throw new HectorError('remote_protocol', `${shown(url)} redirects to what is no address.`);
  }
}

/** Without what may be a secret in it. */
export function shown(url: URL): string {
  return oneLine(`${url.origin}${url.pathname === '/' ? '' : url.pathname}`, 300);
}
