import { renameSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AnswerShape, modelPath, shortAnswer } from './answer.ts';

export interface FleetWish {
  readonly agents: number;
  /** What the first agent's description says; another version is a change of it. */
  readonly version: number;
  /** What all the others' say. */
  readonly others?: number;
  /** Where the model is; without it the agents answer with what they are told. */
  readonly model?: string;
}

const shape: AnswerShape = { tokens: shortAnswer, every: 0 };

export const firstAgent = 'agent-0';
export const described = (version: number): string => `version ${version} of this agent`;

/** A document of many agents that share ten models, about 350 bytes an agent. */
export function fleet({ agents, version, others = 0, model }: FleetWish): string {
  const llms = Array.from({ length: 10 }, (_, index) =>
    model === undefined
      ? `  model-${index}: { provider: echo }`
      : `  model-${index}: { provider: openai, model: bench, api_key: bench, base_url: "${model}${modelPath(shape)}" }`,
  );
  const written = Array.from(
    { length: agents },
    (_, index) => `  agent-${index}:
    llm: model-${index % 10}
    description: ${described(index === 0 ? version : others)}
    instruction: |
      You are number ${index} of a large fleet, and you answer questions about orders, deliveries and invoices.
      Answer in short sentences, say so when you do not know, and never make up the number of an order.
      Be polite, and end with an offer of further help.`,
  );
  return `version: "2"\nname: bench\nllms:\n${llms.join('\n')}\nagents:\n${written.join('\n')}\n`;
}

export const listening = (port: number): string => `server: { host: 127.0.0.1, port: ${port} }\n`;

/** Puts a new text in the place of the old, whole, as an editor and `kubectl` do. */
export function replace(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

const agent = new http.Agent({ keepAlive: true });

export function read(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.once('end', () =>
        response.statusCode === 200 ? resolve(text) : reject(new Error(`HTTP ${response.statusCode}: ${text}`)),
      );
      response.once('error', reject);
    });
    request.once('error', reject);
  });
}

/** Asks every five milliseconds until the answer is right; `undefined` when it never was. */
export async function until(isRight: () => Promise<boolean>, withinMs: number): Promise<number | undefined> {
  const began = performance.now();
  while (performance.now() - began < withinMs) {
    if (await isRight()) return performance.now() - began;
    await sleep(5);
  }
  return undefined;
}

export interface Serving {
  readonly generation: number;
  readonly revision: string;
}

export async function serving(origin: string): Promise<Serving> {
  const status = JSON.parse(await read(`${origin}/api/config/status`)) as {
    serving: Serving;
    error?: { message: string };
  };
  if (status.error) throw new Error(`a configuration of the bench was refused: ${status.error.message}`);
  return status.serving;
}

/** What a histogram of the metrics has had so far. */
export async function observed(
  origin: string,
  name: string,
): Promise<{ readonly sum: number; readonly count: number }> {
  const text = await read(`${origin}/metrics`);
  const value = (suffix: string) => Number(new RegExp(`^${name}_${suffix} (\\S+)$`, 'm').exec(text)?.[1]);
  return { sum: value('sum'), count: value('count') };
}

/** The longest that `GET /health` took, asked every five milliseconds while something else goes on. */
export async function longestWait(origin: string, meanwhile: () => Promise<void>): Promise<number> {
  let over = false;
  let longest = 0;
  const probing = (async () => {
    while (!over) {
      const began = performance.now();
      await read(`${origin}/health`);
      longest = Math.max(longest, performance.now() - began);
      await sleep(5);
    }
  })();
  try {
    await meanwhile();
  } finally {
    over = true;
    await probing;
  }
  return longest;
}
