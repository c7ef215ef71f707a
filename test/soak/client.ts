import { randomUUID } from 'node:crypto';
import { Agent, type Dispatcher, request } from 'undici';
import { type AgentName, agents } from './configuration.ts';
import type { Ledger } from './ledger.ts';
import { type Asked, checkCard, checkText, type Wish, wishText } from './stamps.ts';

/** No request takes longer than this beyond what it asks for, however loaded the machine. */
const patienceMs = 60_000;

interface Part {
  readonly text?: string;
}
interface Artifact {
  readonly parts: readonly Part[];
}
interface Result {
  readonly task?: { readonly status: { readonly state: string }; readonly artifacts?: readonly Artifact[] };
  readonly artifactUpdate?: { readonly artifact: Artifact };
  readonly statusUpdate?: { readonly status: { readonly state: string; readonly message?: unknown } };
}
type RequestOptions = Pick<NonNullable<Parameters<typeof request>[1]>, 'method' | 'headers' | 'body' | 'bodyTimeout'>;

interface RpcAnswer {
  readonly result?: Result;
  readonly error?: unknown;
}

/** Asks the server, and holds every answer against the rules. None of the requests throws: what goes wrong is in the ledger. */
export class Client implements AsyncDisposable {
  readonly #url: string;
  readonly #ledger: Ledger;
  readonly #dispatcher: Agent;

  /** No more requests than there are connections are ever under way. */
  constructor(url: string, ledger: Ledger, connections: number) {
    this.#url = url;
    this.#ledger = ledger;
    this.#dispatcher = new Agent({ connections });
  }

  async send(agent: AgentName, wish: Wish): Promise<void> {
    await this.#observe('SendMessage', 'failed', async () => {
      const asked = this.#asked(agent);
      const response = await this.#post(agent, 'SendMessage', wish);
      const { result } = (await response.body.json()) as RpcAnswer;
      const state = result?.task?.status.state;
      if (state !== 'TASK_STATE_COMPLETED') throw new Error(`the task is ${state}: ${JSON.stringify(result?.task)}`);
      this.#complete(textOf(result?.task?.artifacts ?? []), asked, wish);
    });
  }

  /** `begun` is called once the server has begun to answer: the stream is bound to a revision from then on. */
  async stream(agent: AgentName, wish: Wish, begun: () => void = () => {}): Promise<void> {
    const ended = await this.#observe('SendStreamingMessage', 'cut', async () => {
      const asked = this.#asked(agent);
      const response = await this.#post(agent, 'SendStreamingMessage', wish);
      begun();
      const artifacts: Artifact[] = [];
      let last: Result | undefined;
      for await (const event of eventsOf(response.body)) {
        if (event.error !== undefined) throw new Error(`an error in a stream: ${JSON.stringify(event.error)}`);
        last = event.result;
        if (event.result?.artifactUpdate) artifacts.push(event.result.artifactUpdate.artifact);
      }
      const status = last?.statusUpdate?.status;
      if (status?.state !== 'TASK_STATE_COMPLETED')
        throw new Error(`a stream ended with ${JSON.stringify(status ?? last)}`);
      this.#complete(textOf(artifacts), asked, wish);
    });
    if (!ended) begun();
  }

  async card(agent: AgentName): Promise<void> {
    await this.#observe('card', 'failed', async () => {
      const asked = this.#asked(agent);
      const { body } = await this.#get(`/agents/${agent}/.well-known/agent-card.json`);
      checkCard((await body.json()) as Parameters<typeof checkCard>[0], asked, this.#ledger);
    });
  }

  async list(): Promise<void> {
    await this.#observe('list', 'failed', async () => {
      const floor = this.#ledger.confirmed;
      const { body } = await this.#get('/agents');
      const list = (await body.json()) as { agents: Parameters<typeof checkCard>[0][] };
      if (list.agents.length !== agents.length) throw new Error(`a list of ${list.agents.length} agents`);
      agents.forEach((agent, at) => {
        checkCard(list.agents[at] as (typeof list.agents)[number], { agent, floor }, this.#ledger);
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispatcher.close();
  }

  #asked(agent: AgentName): Asked {
    return { agent, floor: this.#ledger.confirmed };
  }

  /** Whether it was answered. */
  async #observe(kind: string, rule: 'failed' | 'cut', work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      this.#ledger.answered(kind);
      return true;
    } catch (error) {
      this.#ledger.breach(rule, `${kind}: ${error instanceof Error ? error.message : String(error)}`);
      return false;
    }
  }

  #complete(text: string, asked: Asked, wish: Wish): void {
    const { pieces } = checkText(text, asked, this.#ledger);
    if (pieces !== wish.pieces) throw new Error(`${pieces} of ${wish.pieces} pieces came`);
  }

  #get(path: string): Promise<Dispatcher.ResponseData> {
    return this.#request(path, { method: 'GET' });
  }

  #post(agent: AgentName, method: string, wish: Wish): Promise<Dispatcher.ResponseData> {
    const message = { messageId: randomUUID(), role: 'ROLE_USER', parts: [{ text: wishText(wish) }] };
    return this.#request(`/agents/${agent}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { message } }),
      bodyTimeout: patienceMs,
    });
  }

  async #request(path: string, options: RequestOptions): Promise<Dispatcher.ResponseData> {
    const response = await request(`${this.#url}${path}`, {
      headersTimeout: patienceMs,
      ...options,
      dispatcher: this.#dispatcher,
    });
    if (response.statusCode === 200) return response;
    throw new Error(`status ${response.statusCode}: ${(await response.body.text()).slice(0, 200)}`);
  }
}

function textOf(artifacts: readonly Artifact[]): string {
  return artifacts.flatMap(({ parts }) => parts.map(({ text = '' }) => text)).join('');
}

async function* eventsOf(body: AsyncIterable<Buffer>): AsyncGenerator<RpcAnswer> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of body) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('data:')) yield JSON.parse(line.slice(5)) as RpcAnswer;
  }
}
