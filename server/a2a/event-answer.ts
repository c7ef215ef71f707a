import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Context, limitsOf } from '../request.ts';
import type { Call } from './call.ts';
import { EventStream } from './sse.ts';

export interface EventAnswer<Event> {
  readonly call: Call;
  readonly events: AsyncGenerator<Event>;
  /** As server-sent events. */
  frame(event: Event): string;
  errorFrame(error: unknown): string;
  /** Answers a caller who has had all there is, in place of a stream without an event. */
  onNothing?(): void;
}

/**
 * Answers with events as they come. What goes wrong before the answer begins is thrown, for an answer like any other: that
 * is until the first event, or for a caller who has some of them, until there is something to wait for.
 */
export async function answerWithEvents<Event>(
  ctx: Context,
  { call, events, frame, errorFrame, onNothing }: EventAnswer<Event>,
): Promise<void> {
  const first = events.next();
  await (call.resumed ? Promise.race([first, call.resumed]) : first);
  if (call.resumed && onNothing) {
    // Where all is over already, that shows within the turn.
    const now = await Promise.race([first, nextTurn()]);
    if (now?.done) return onNothing();
  }
  ctx.respond = false;
  const stream = new EventStream(ctx.res, limitsOf(ctx.state.lease.generation).heartbeatMs);
  try {
    // There may be nothing new for a long time, and the caller wants to know that it has come through.
    if (call.resumed) ctx.res.flushHeaders();
    for (let next = await first; !next.done && !stream.closed; next = await events.next()) {
      stream.send(frame(next.value), call.eventId);
      if (stream.full) await stream.drained();
    }
  } catch (error) {
    stream.send(errorFrame(error));
  } finally {
    stream.end();
    // Ends this client's reading where it left early. The task goes on.
    await events.return(undefined);
  }
}
