import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Task } from '../../core/a2a.ts';
import { rpc, userMessage } from './a2a-client.ts';
import { type Hector, startHector } from './hector.ts';

export interface FleetOptions {
  /** Of the database, where it has one. */
  readonly name?: string;
  /** The entry of `databases`, as YAML; `$DATA` is a folder that all of them have. */
  readonly database: string;
  readonly checkpoint?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** How long a step takes, about. */
  readonly stepMs?: number;
  readonly agent?: string;
}

/** Hectors over one database, whose agent works in steps; and what it has done, by whichever of them. */
export class StepwiseFleet implements AsyncDisposable {
  readonly folder: string;
  readonly #options: FleetOptions;
  readonly #running: Hector[] = [];

  private constructor(folder: string, options: FleetOptions) {
    this.folder = folder;
    this.#options = options;
  }

  get database(): string {
    return this.#options.name ?? '';
  }

  static async make(options: FleetOptions): Promise<StepwiseFleet> {
    return new StepwiseFleet(await mkdtemp(join(tmpdir(), 'hector-steps-')), options);
  }

  async start({ agent = this.#options.agent ?? 'worker', args = [] as readonly string[] } = {}): Promise<Hector> {
    const plugin = await readFile(join(import.meta.dirname, 'stepwise-plugin.mjs'), 'utf8');
    const { database, checkpoint = '', env = {}, stepMs = 100 } = this.#options;
    const hector = await startHector({
      files: { 'stepwise.mjs': plugin },
      config: `version: "2"
plugins: [./stepwise.mjs]
llms: { default: { provider: stepwise } }
tools: { steps: { type: stepwise, ms: ${stepMs} } }
server:
  shutdown: { delay: 0s, timeout: 2s }
agents:
  ${agent}: { llm: default, tools: [steps], reasoning: { max_iterations: 1000 } }
databases:
  main:
${database.replace('$DATA', this.folder).replace(/^/gm, '    ')}
storage:
  tasks: { backend: sql, database: main }
  sessions: { backend: sql, database: main }
${checkpoint.replace(/^/gm, '  ')}
`,
      args,
      env: { ...env, STEPS_FOLDER: this.folder },
    });
    this.#running.push(hector);
    return hector;
  }

  /** How often each step of a task was begun, by number. */
  async stepsOf(taskId: string): Promise<Map<number, number>> {
    const steps = new Map<number, number>();
    for (const line of (await this.calls()).filter((each) => each.startsWith(taskId))) {
      const n = Number(line.split(' ')[1]);
      steps.set(n, (steps.get(n) ?? 0) + 1);
    }
    return steps;
  }

  async calls(): Promise<readonly string[]> {
    const text = await readFile(join(this.folder, 'calls.log'), 'utf8').catch(() => '');
    return text.split('\n').filter((line) => line !== '');
  }

  /** Step `n` is not over before `letGo`. */
  async hold(n: number): Promise<void> {
    await writeFile(join(this.folder, `hold-${n}`), '');
  }

  async letGo(n: number): Promise<void> {
    await rm(join(this.folder, `hold-${n}`), { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#running.map((hector) => hector[Symbol.asyncDispose]()));
    await rm(this.folder, { recursive: true, force: true });
  }
}

export const ask = (hector: Hector, method: string, params: unknown, agent = 'worker') =>
  rpc(`${hector.url}/agents/${agent}`, method, params, { version: '1.0' });

/** Begins work and does not wait for its end. */
export async function begin(hector: Hector, steps: number, agent = 'worker'): Promise<Task> {
  const { body } = await ask(
    hector,
    'SendMessage',
    { message: userMessage(`work ${steps}`), configuration: { returnImmediately: true } },
    agent,
  );
  assert.equal(body.error, undefined, JSON.stringify(body.error));
  return body.result?.['task'] as Task;
}

export async function get(hector: Hector, id: string, agent = 'worker'): Promise<Task> {
  const { body } = await ask(hector, 'GetTask', { id }, agent);
  assert.equal(body.error, undefined, JSON.stringify(body.error));
  return body.result as unknown as Task;
}

export const isOver = ({ status }: Task): boolean => !/SUBMITTED|WORKING/.test(status.state);

/** What a task's last status says. */
export const said = ({ status }: Task): string =>
  (status.message?.parts ?? []).map((part) => ('text' in part ? part.text : '')).join('');
