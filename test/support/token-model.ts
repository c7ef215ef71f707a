import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { closeServer } from './close-server.ts';
import { chunk, eventText, startEvents } from './model-server.ts';
import { until } from './until.ts';

/** An answer of the model: every piece of it leaves when the test says so, and not before. */
export interface Answering {
  give(token: string): void;
  end(): void;
  /** Whether Hector has hung up. */
  readonly closed: boolean;
}

/** A model server that speaks as OpenAI's does, and that says nothing of its own accord. */
export class TokenModel implements AsyncDisposable {
  readonly #server = createServer((request, response) => {
    request.resume().on('end', () => {
      startEvents(response);
      this.#answers.push(response);
    });
  });
  readonly #answers: ServerResponse[] = [];
  #taken = 0;

  static async start(): Promise<TokenModel> {
    const model = new TokenModel();
    model.#server.listen(0, '127.0.0.1');
    await once(model.#server, 'listening');
    return model;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  /** How often it was asked. */
  get asked(): number {
    return this.#answers.length;
  }

  /** The next question, once it is there. */
  async next(): Promise<Answering> {
    const index = this.#taken++;
    await until(() => this.#answers[index] !== undefined);
    const response = this.#answers[index] as ServerResponse;
    return {
      give: (token) => void response.write(eventText(chunk({ content: token }))),
      end: () => void response.end(eventText(chunk({}, 'stop'), '[DONE]')),
      get closed() {
        return response.closed;
      },
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return closeServer(this.#server);
  }
}
