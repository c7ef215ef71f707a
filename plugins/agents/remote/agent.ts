import { randomUUID } from 'node:crypto';
import {
  type Agent,
  type AgentContext,
  type AgentEvent,
  type ExtensionPoints,
  errorMessage,
  type Message,
  milliseconds,
  type Part,
  type Task,
  unlessAborted,
} from '../../../core/index.ts';
import { type Ending, RemoteAnswer } from './answer.ts';
import { cardSource } from './card.ts';
import { openConnection } from './connection.ts';
import { described, preface, recall, turn } from './conversation.ts';
import { Exchange } from './exchange.ts';
import { excerpt, failure, RemoteFailure, type RemoteFailureKind } from './failure.ts';
import type { RemoteAgentOptions } from './options.ts';
import { settledWithin } from './pause.ts';
import { sendRequest } from './wire.ts';

/** How long work over there is still cancelled for when the agent itself is disposed of. */
const farewellMs = 6_000;

/** After these the card may no longer be what it was. */
const doubtful: ReadonlySet<RemoteFailureKind> = new Set([
  'refused',
  'broken',
  'status',
  'protocol',
  'forbidden',
  'failed',
]);

/**
 * Passes messages on to an agent elsewhere, and what comes of them back.
 *
 * The conversation remembers a message when it has been answered, or when the other side asks something back. A run that
 * ends for any other reason leaves nothing behind, here or there: its task over there is cancelled.
 */
export async function createRemoteAgent(
  options: RemoteAgentOptions,
  host: ExtensionPoints['agent']['context'],
): Promise<Agent> {
  const { name, logger, folder, outbound } = host;
  const timeoutMs = milliseconds(options.timeout);
  const configured = [options.url, options.agent_card_url].filter((url) => url !== undefined);
  const connection = await openConnection({ name, headers: options.headers ?? {}, timeoutMs, outbound, configured });
  const card = await cardSource({ name, options, folder, connection, timeoutMs, logger }).catch(async (error) => {
    await connection[Symbol.asyncDispose]();
    throw error;
  });
  const party = { name, target: options.agent_card_url ?? options.agent_card_file ?? options.url ?? '' };
  const farewells = new Set<Promise<void>>();
  let disposed = false;

  // Somebody will need it, and whoever starts a Hector should learn early that the other side is down.
  const looked = card.endpoint().then(
    () => undefined,
    (error: unknown) => {
      if (!disposed) logger.warn({ error: errorMessage(error) }, 'the agent elsewhere cannot be reached now');
    },
  );

  async function begin(message: Message, context: AgentContext) {
    const { session, task, extensions, signal } = context;
    const hops = context.hops + 1;
    signal.throwIfAborted();
    const history = await unlessAborted(session.history(), signal);
    const recalled = recall(history, party, task.id);
    const endpoint = await unlessAborted(card.endpoint(), signal);
    const messageId = randomUUID();
    const request = sendRequest(message, context, {
      messageId,
      preface: preface(recalled.unheard),
      contextId: recalled.contextId,
      taskId: recalled.waiting?.taskId,
    });
    const exchange = new Exchange({ name, endpoint, request, taskId: recalled.waiting?.taskId, extensions, hops });
    const answer = new RemoteAnswer(messageId, recalled.waiting?.seen);
    return { endpoint, recalled, exchange, answer };
  }

  /** The task over there that waits for a message of this one will get none. */
  async function abandon(task: Task, context: AgentContext): Promise<void> {
    const { waiting, contextId } = recall(await context.session.history(), party, task.id);
    const message = task.history.at(-1);
    if (!waiting || !message) return;
    const { taskId } = waiting;
    const endpoint = await card.endpoint();
    const request = sendRequest(message, context, {
      messageId: message.messageId,
      preface: undefined,
      contextId,
      taskId,
    });
    await new Exchange({ name, endpoint, request, taskId, extensions: new Set(), hops: context.hops + 1 }).leave(
      Promise.resolve(),
    );
  }

  async function* run(message: Message, context: AgentContext): AsyncGenerator<AgentEvent> {
    const { signal, session, task } = context;
    const { endpoint, recalled, exchange, answer } = await doubting(begin(message, context));
    const events = exchange.events();
    let pending: ReturnType<typeof events.next> | undefined;
    try {
      for (;;) {
        signal.throwIfAborted();
        pending = events.next();
        const { done, value } = await doubting(unlessAborted(pending, signal));
        if (done) break;
        yield* answer.take(value);
      }
      const ended = endingOf(answer, endpoint.host);
      const waits = ended.state !== 'TASK_STATE_COMPLETED';
      const question = waits ? ended.parts.map(described) : [];
      const said = [answer.text, ...question].filter((text) => text !== '').join('\n\n');
      const { taskId, contextId = recalled.contextId } = exchange;
      const waiting = waits && taskId !== undefined ? { taskId, seen: answer.seen } : undefined;
      await session.append(turn(message, said, party, task.id, { contextId, waiting }));
      if (waits)
        yield {
          type: waits && ended.state === 'TASK_STATE_AUTH_REQUIRED' ? 'auth_required' : 'input_required',
          parts: ended.parts,
        };
    } finally {
      farewell(exchange, events, pending ?? Promise.resolve(), context);
    }
  }

  async function doubting<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (error instanceof RemoteFailure && doubtful.has(error.kind)) card.doubt();
      throw error;
    }
  }

  /** How it ended, where that is no failure. */
  function endingOf({ ending }: RemoteAnswer, at: string): Ending {
    const { state, parts } = ending ?? { state: 'TASK_STATE_FAILED', parts: [] };
    if (state === 'TASK_STATE_COMPLETED') return { state, parts };
    if (state === 'TASK_STATE_INPUT_REQUIRED' || state === 'TASK_STATE_AUTH_REQUIRED') {
      return { state, parts: parts.length > 0 ? parts : [unspoken[state]] };
    }
    const verb = verbs[state] ?? 'failed';
    const reason = excerpt(parts.map(described).join(' '));
    throw failure(
      { name },
      'failed',
      `${at} ${verb} the task${reason === '' ? ' and did not say why' : `: ${reason}`}`,
    );
  }

  function farewell(exchange: Exchange, events: AsyncGenerator, pending: Promise<unknown>, { logger }: AgentContext) {
    const leaving = exchange
      .leave(pending)
      .catch((error: unknown) =>
        logger.debug({ error: errorMessage(error) }, 'the task elsewhere could not be cancelled'),
      )
      .then(() => events.return(undefined))
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => farewells.delete(leaving));
    farewells.add(leaving);
  }

  return {
    run,
    abandon,
    async [Symbol.asyncDispose]() {
      disposed = true;
      await card[Symbol.asyncDispose]();
      await settledWithin(farewellMs, Promise.all(farewells));
      await connection[Symbol.asyncDispose]();
      await looked;
    },
  };
}

const verbs: Readonly<Record<string, string>> = {
  TASK_STATE_FAILED: 'failed',
  TASK_STATE_REJECTED: 'rejected',
  TASK_STATE_CANCELED: 'cancelled',
};

const unspoken = {
  TASK_STATE_INPUT_REQUIRED: { text: 'The agent needs more input, and did not say which.' },
  TASK_STATE_AUTH_REQUIRED: { text: 'The agent needs authorization, and did not say for what.' },
} as const satisfies Readonly<Record<string, Part>>;
