import { chatBody, question } from './answer.ts';
import { type Call, sendMessage, sendStreamingMessage } from './call.ts';
import { type LoadMeasure, median, rounds } from './load.ts';
import { startKoa, startModel } from './process.ts';
import { detail } from './report.ts';
import type { Case } from './stage.ts';

/** An agent on the embedded model: what is measured is the way in and out. */
const echoing = (port: number) =>
  JSON.stringify({
    version: '2',
    server: { host: '127.0.0.1', port, openai: { enabled: true } },
    llms: { default: { provider: 'echo' } },
    agents: { assistant: { description: 'An agent that answers.' } },
  });

const json = { 'content-type': 'application/json' };

/** The same message to the same agent, by another way in. */
const ways: Readonly<Record<string, (origin: string) => Call>> = {
  'JSON-RPC': (origin) => sendMessage(origin, 'assistant'),
  'HTTP+JSON': (origin) => ({
    url: `${origin}/agents/assistant/message:send`,
    method: 'POST',
    headers: { ...json, 'a2a-version': '1.0' },
    body: JSON.stringify({ message: { messageId: '[<id>]', role: 'ROLE_USER', parts: [{ text: question }] } }),
    expect: '"TASK_STATE_COMPLETED"',
  }),
  'chat completions': (origin) => ({
    url: `${origin}/v1/chat/completions`,
    method: 'POST',
    headers: json,
    body: chatBody(false).replace(/"model":"[^"]*"/, '"model":"assistant"'),
    expect: '"chat.completion"',
  }),
  'a stream of four events': (origin) => sendStreamingMessage(origin, 'assistant'),
};

function waysCase(name: string, title: string, compared: readonly string[], least: number): Case {
  return {
    name,
    title,
    async run({ options, use, watching }) {
      const model = await use(startModel());
      const koa = await use(startKoa());
      const served = await watching(echoing);
      const contestants = ['JSON-RPC', ...compared].map((way) => ({
        name: way,
        call: (ways[way] as (origin: string) => Call)(served.origin),
        server: served,
      }));
      const bare = {
        name: 'koa echo',
        call: { ...(ways['JSON-RPC'] as (o: string) => Call)(koa.origin), expect: '"params"' },
        server: koa,
      };
      const measures = await rounds([bare, ...contestants], model, { ...options, connections: 32 });
      const of = (who: string): readonly LoadMeasure[] => measures.get(who) ?? [];
      const perSecond = (who: string) => median(of(who).map((measure) => measure.perSecond));
      const ratio = (one: string, other: string) =>
        median(of(one).map((measure, round) => measure.perSecond / (of(other)[round] as LoadMeasure).perSecond));
      return {
        checks: compared.map((way) => ({
          what: `requests/s: ${way}`,
          unit: 'req/s',
          measured: perSecond(way),
          baseline: { of: 'JSON-RPC', value: perSecond('JSON-RPC') },
          judged: ratio(way, 'JSON-RPC'),
          target: { least, unit: '×' },
        })),
        details: [...measures].map(([who, all]) => detail(who, all)),
        errors: [...measures].flatMap(([who, all]) => {
          const errors = all.reduce((sum, measure) => sum + measure.errors, 0);
          return errors === 0 ? [] : [`${who}: ${errors} requests failed or were answered wrongly`];
        }),
      };
    },
  };
}

export const surfaceCases: readonly Case[] = [
  waysCase(
    'bindings',
    'a message over HTTP+JSON and as a chat completion, 32 connections',
    ['HTTP+JSON', 'chat completions'],
    0.8,
  ),
  waysCase(
    'events',
    'a task of four events, each sent as it comes, against a message that is answered once',
    ['a stream of four events'],
    0.5,
  ),
];
