import type { FetchLike } from '@modelcontextprotocol/client';
import type { Outbound, OutboundInit } from '../../../core/index.ts';
import { maxMessageBytes } from './limits.ts';

/** Connections of one server's own: bounded in number, and gone after dispose. */
export interface BoundedFetch extends AsyncDisposable {
  readonly fetch: FetchLike;
}

/** A stream for what the server says unasked, and one for each call under way. */
const maxConnections = 64;
const unbounded = { maxBytes: Number.POSITIVE_INFINITY, timeoutMs: Number.POSITIVE_INFINITY } as const;

/**
 * `fetch` for the server at a URL of the configuration, whose answers are never longer than a message may be; of an event stream, no event is. There are no deadlines but
 * the one to connect: the others are those of the calls.
 */
export function boundedFetch(outbound: Outbound, url: URL, connectMs: number): BoundedFetch {
  const client = outbound.client({ configured: [url], connectMs, maxConnections });
  const send = async (to: string | URL, init: unknown) => {
    const response = await client.fetch(to, { ...(init as OutboundInit), ...unbounded });
    if (!response.body) return response;
    const events = response.headers.get('content-type')?.includes('text/event-stream') ?? false;
    const { status, statusText, headers } = response;
    return new Response(response.body.pipeThrough(bound(events)), { status, statusText, headers });
  };
  return {
    fetch: send as unknown as FetchLike,
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

function bound(events: boolean): TransformStream<Uint8Array, Uint8Array> {
  let size = 0;
  let tail = '';
  return new TransformStream({
    transform(chunk, controller) {
      size += chunk.byteLength;
      if (size > maxMessageBytes) {
        controller.error(new Error(`it sent a message of more than ${maxMessageBytes} bytes`));
        return;
      }
      if (events) {
        // An empty line ends an event, and may come in two chunks.
        const text = tail + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1');
        const end = Math.max(text.lastIndexOf('\n\n'), text.lastIndexOf('\r\n\r\n'), text.lastIndexOf('\r\r'));
        if (end !== -1) size = text.length - end;
        tail = text.slice(-3);
      }
      controller.enqueue(chunk);
    },
  });
}
