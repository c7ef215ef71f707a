import { existsSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { answerOf, connect, rpc, stream, userMessage } from './a2a-client.ts';
import { type Hector, startHector } from './hector.ts';
import { until } from './until.ts';

/** `hold {"name": NAME}` waits until there is a file NAME beside the module, whatever the signal says. */
const doors = `
import { existsSync } from 'node:fs';
export const hold = {
  description: 'Waits for a door to open',
  parameters: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
  async execute({ name }) {
    while (!existsSync(new URL('./' + name, import.meta.url))) await new Promise((resolve) => setTimeout(resolve, 20));
    return name + ' is open';
  },
};
`;

/** A server whose agents work until the test opens a gate: see gated-plugin.mjs. */
export async function startHeld(config: string, args: readonly string[] = ['--watch']): Promise<Hector> {
  const plugin = await readFile(join(import.meta.dirname, 'gated-plugin.mjs'), 'utf8');
  return startHector({ config, args, files: { 'gated-plugin.mjs': plugin, 'doors.mjs': doors } });
}

/** The configuration that a tag stands for: `talker` answers with it, `worker` calls tools. */
export function heldConfig(tag: string, { agents = '', server = '', tools = true } = {}): string {
  return `plugins: [./gated-plugin.mjs]
llms:
  gated: { provider: gated, tag: ${tag} }
  echo: { provider: echo }
tools: ${tools ? '{ doors: { type: function, handler: ./doors.mjs } }' : '{}'}
agents:
  talker: { llm: gated, tools: [], instruction: ${tag}, description: ${tag} }
  worker: { llm: echo, tools: ${tools ? '[doors]' : '[]'}, instruction: ${tag} }
${agents}
server: { ${server} }
`;
}

export async function openGate({ folder }: Hector, name: string): Promise<void> {
  await writeFile(join(folder, name), '');
}

/** What gated instances have written of themselves. */
export function instanceLog({ folder }: Hector): string[] {
  const path = join(folder, 'instances.log');
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
}

type Events = AsyncIterable<Parameters<typeof answerOf>[0][number]>;

/** A stream that is read as it comes. */
export class Reading {
  readonly seen: Parameters<typeof answerOf>[0][number][] = [];
  readonly #ended: Promise<void>;

  constructor(events: Events) {
    this.#ended = (async () => {
      for await (const event of events) this.seen.push(event);
    })();
    // Whoever waits for the end is told.
    this.#ended.catch(() => undefined);
  }

  get text(): string {
    return answerOf(this.seen);
  }

  /** Of the last event. */
  get status() {
    return this.seen.at(-1)?.statusUpdate?.status;
  }

  get taskId(): string {
    return this.seen[0]?.task?.id ?? '';
  }

  /** Rejects if the connection was cut. */
  async ended(): Promise<this> {
    await this.#ended;
    return this;
  }
}

/** Opens a stream to an agent and waits until the agent is at work. */
export async function held(hector: Hector, text: string, agent = 'talker'): Promise<Reading> {
  const reading = new Reading(stream(await connect(hector.url, agent), text));
  await until(() => reading.seen.some(({ statusUpdate }) => statusUpdate?.status.state === 'TASK_STATE_WORKING'));
  if (agent === 'talker') await until(() => reading.text.startsWith('begun'));
  return reading;
}

/** A task that nobody waits for. Returns its id. */
export async function started(hector: Hector, text: string): Promise<string> {
  const params = { message: userMessage(text), configuration: { returnImmediately: true } };
  const { body } = await rpc(`${hector.url}/agents/talker`, 'SendMessage', params, { version: '1.0' });
  const { task } = body.result as { task: { id: string } };
  return task.id;
}
