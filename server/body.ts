import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { HttpError } from './http-error.ts';

/**
 * So much more than is taken is still read, and dropped, where a body says how long it is. A connection that is closed while
 * its client sends is reset, and what was answered is lost: a proxy then makes a 502 of it.
 */
const droppedBytes = 4 * 1024 ** 2;

/** Reads a request's body. It counts as it reads, so no more than `maxBytes` are ever held. */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const length = Number(request.headers['content-length'] ?? 0);
  // Node itself reads what was left once the answer is out, unless that closes the connection.
  if (length > maxBytes) return Promise.reject(tooLarge(maxBytes, { close: length > maxBytes + droppedBytes }));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;

    const settle = (outcome: () => void) => {
      request.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
      outcome();
    };
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      settle(() => reject(tooLarge(maxBytes, { close: true })));
      // What still comes is dropped until the connection is closed: a client that only writes would not see the answer.
      request.resume();
    };
    const onEnd = () =>
      settle(() => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size)));
    const onError = (error: Error) => settle(() => reject(incomplete(error)));
    const onClose = () => settle(() => reject(incomplete()));

    request.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
    if (request.destroyed && !request.readableEnded) onClose();
  });
}

/** Throws `malformed_json`, or `too_deep` where objects and arrays are nested deeper than `maxDepth`. */
export function parseJson(body: Buffer, maxDepth: number): unknown {
  if (!isUtf8(body)) throw new HttpError(400, 'malformed_json', 'The body is not UTF-8 text.');
  const text = body.toString('utf8');
  if (isDeeperThan(text, maxDepth)) {
    throw new HttpError(400, 'too_deep', `The body is nested more than ${maxDepth} levels deep.`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new HttpError(400, 'malformed_json', 'The body is not valid JSON.', { cause: error });
  }
}

const quote = 0x22;
const backslash = 0x5c;

/** Looks at the brackets only, so that nothing deep is built before it is refused. */
function isDeeperThan(text: string, maxDepth: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = endOfString(text, at);
      if (at === -1) return false;
    } else if (code === 0x7b || code === 0x5b) {
      if (++depth > maxDepth) return true;
    } else if (code === 0x7d || code === 0x5d) {
      depth--;
    }
  }
  return false;
}

function endOfString(text: string, start: number): number {
  let end = start;
  do {
    end = text.indexOf('"', end + 1);
  } while (end !== -1 && isEscaped(text, end));
  return end;
}

function isEscaped(text: string, at: number): boolean {
  let before = at - 1;
  while (text.charCodeAt(before) === backslash) before--;
  return (at - before) % 2 === 0;
}

function tooLarge(maxBytes: number, { close }: { readonly close: boolean }): HttpError {
  return new HttpError(413, 'too_large', `The body is larger than ${maxBytes} bytes (server.max_body_size).`, {
    ...(close && { headers: { Connection: 'close' } }),
  });
}

function incomplete(cause?: Error): HttpError {
  return new HttpError(400, 'incomplete', 'The connection ended before the body did.', cause ? { cause } : {});
}
