import { StringDecoder } from 'node:string_decoder';
import { LlmError } from '../../core/index.ts';

export interface ServerSentEvent {
  /** Empty where the server names none. */
  readonly event: string;
  readonly data: string;
}

export type EventBody = AsyncIterable<Uint8Array> & { cancel(): Promise<void> };

/** How long to wait for the end of the bytes after the last event: connections are kept for servers that say it at once. */
const lingerMs = 1_000;

/**
 * The events of a `text/event-stream`. An event's cost is linear in its size however it is cut into packets, and one
 * larger than `maxSize` characters fails. The SDKs' own decoders copy what they hold with every packet, print an event
 * that they cannot parse to the console, and end quietly when they are aborted: an answer cut short would look whole.
 */
export async function* serverSentEvents(
  who: string,
  body: EventBody,
  maxSize: number,
  isLast: (event: ServerSentEvent) => boolean,
): AsyncGenerator<ServerSentEvent> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let event = '';
  let data: string | undefined;
  for await (const bytes of body) {
    const text = decoder.write(bytes as Buffer);
    if (!text.includes('\n')) {
      rest += text;
    } else {
      const lines = (rest + text).split('\n');
      rest = lines.pop() as string;
      for (const raw of lines) {
        const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
        if (line === '') {
          if (data !== undefined) {
            const whole = { event, data };
            yield whole;
            if (isLast(whole)) return await drain(body);
          }
          event = '';
          data = undefined;
        } else if (line.startsWith('data:')) {
          const value = line.slice(line[5] === ' ' ? 6 : 5);
          data = data === undefined ? value : `${data}\n${value}`;
        } else if (line.startsWith('event:')) {
          event = line.slice(6).trim();
        }
      }
    }
    if (rest.length + (data?.length ?? 0) > maxSize) {
      throw new LlmError('too_large', `${who} sent one event of more than ${maxSize} bytes (see max_answer_size).`);
    }
  }
  // Some servers leave out the empty line after their last event.
  if (rest.startsWith('data:') && data === undefined) data = rest.slice(5).trim();
  if (data !== undefined) yield { event, data };
}

async function drain(body: EventBody): Promise<void> {
  const impatience = setTimeout(() => void body.cancel(), lingerMs);
  try {
    for await (const _ of body);
  } catch {
    // The answer is whole, whatever becomes of its connection.
  } finally {
    clearTimeout(impatience);
  }
}
