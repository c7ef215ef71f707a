import { AgentCard } from '@a2a-js/sdk';
import type { ServedAgent } from '../../core/runtime/generation.ts';
import { abortedWhenGone, type Context } from '../request.ts';
import { Call, type TaskEngine } from './call.ts';
import { agentCard } from './card.ts';
import type { Cards } from './cards.ts';
import { hopsIn } from './hops.ts';
import { activateExtensions } from './protocol-extensions.ts';
import type { PushConfigs } from './push-configs.ts';
import type { ProtocolVersion } from './version.ts';

/** What both bindings answer from. */
export interface A2aServices {
  readonly tasks: TaskEngine;
  readonly cards: Cards;
  /** Absent: no push notifications. */
  readonly push?: PushConfigs | undefined;
}

/** Ids of events are short; what is longer was never one. */
const maxEventId = 256;

export function callOf(ctx: Context, services: A2aServices, agent: ServedAgent, version: ProtocolVersion): Call {
  const { tasks, cards, push } = services;
  const { state } = ctx;
  const { generation } = state.lease;
  const lastEventId = ctx.req.headers['last-event-id'];
  return new Call({
    tasks,
    agent,
    state,
    version,
    push,
    hops: hopsIn(ctx.req.headers),
    extensions: activateExtensions(ctx, agent, version),
    gone: () => abortedWhenGone(ctx),
    card: async () => AgentCard.fromJSON(agentCard(agent, cards.options(generation, state.origin))),
    extendedCard: async () => (await cards.extended(generation, agent, state.origin)).text,
    lastEventId: typeof lastEventId === 'string' && lastEventId.length <= maxEventId ? lastEventId : undefined,
  });
}
