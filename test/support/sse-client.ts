export interface SseEvent {
  readonly event?: string;
  readonly data: Record<string, unknown>;
}

/** Sends a JSON-RPC request that is answered with a stream, and reads the stream to its end. */
export async function readEvents(url: string, method: string, params: unknown, version?: string): Promise<SseEvent[]> {
  const response = await openStream(url, method, params, { ...(version !== undefined && { version }) });
  return parseEvents(await response.text());
}

export function openStream(
  url: string,
  method: string,
  params: unknown,
  { version, signal }: { version?: string; signal?: AbortSignal } = {},
): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(version !== undefined && { 'a2a-version': version }) },
    body: JSON.stringify({ jsonrpc: '2.0', id: 'stream', method, params }),
    ...(signal && { signal }),
  });
}

export function parseEvents(text: string): SseEvent[] {
  const events: SseEvent[] = [];
  for (const block of text.split('\n\n')) {
    const fields = new Map(
      block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
    );
    const data = fields.get('data');
    const event = fields.get('event');
    if (data !== undefined)
      events.push({ data: JSON.parse(data) as Record<string, unknown>, ...(event !== undefined && { event }) });
  }
  return events;
}
