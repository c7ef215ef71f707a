import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { StreamResponse } from '@a2a-js/sdk';
import type { Task } from '../../../core/a2a.ts';
import { closeServer } from '../../support/close-server.ts';

export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly at: number;
}

/** How the `n`th request (from 0) is answered; default: 204. */
export type Reaction = (response: ServerResponse, n: number) => void;

export interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** In the order of arrival, whatever the answer was. */
  readonly received: readonly Received[];
  /** Connections that are open. */
  readonly connections: number;
  /** The most requests that were unanswered at once. */
  readonly most: number;
  react: Reaction;
}

export const accept: Reaction = (response) => void response.writeHead(204).end();
export const answer =
  (status: number, headers: Record<string, string> = {}): Reaction =>
  (response) =>
    void response.writeHead(status, headers).end();
/** Never answers. */
export const hang: Reaction = () => {};
export const cut: Reaction = (response) => void response.destroy();
/** The first `n` differently. */
export const first =
  (n: number, then: Reaction): Reaction =>
  (response, at) =>
    at < n ? then(response, at) : accept(response, at);

/** A real webhook on a real socket. */
export async function receiver(react: Reaction = accept): Promise<Receiver> {
  const received: Received[] = [];
  const sockets = new Set<Socket>();
  let open = 0;
  let most = 0;
  const server = createServer((request, response) => {
    let body = '';
    most = Math.max(most, ++open);
    response.on('close', () => open--);
    request.setEncoding('utf8');
    request.on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      const n = received.push({ path: request.url ?? '', headers: request.headers, body, at: performance.now() });
      made.react(response, n - 1);
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const made: Receiver = {
    url: `http://127.0.0.1:${port}/hook`,
    port,
    received,
    get connections() {
      return sockets.size;
    },
    get most() {
      return most;
    },
    react,
    [Symbol.asyncDispose]: () => closeServer(server),
  };
  return made;
}

export interface WireEvent {
  readonly task?: Task;
  readonly statusUpdate?: { readonly taskId: string; readonly status: Task['status'] };
  readonly artifactUpdate?: {
    readonly artifact: Task['artifacts'][number];
    readonly append?: boolean;
    readonly lastChunk?: boolean;
  };
}

/** As the SDK understands a 1.0 notification. */
export function event({ body }: Pick<Received, 'body'>): WireEvent {
  return StreamResponse.toJSON(StreamResponse.fromJSON(JSON.parse(body))) as WireEvent;
}

export function state(received: Pick<Received, 'body'>): string | undefined {
  const { task, statusUpdate } = event(received);
  return (task ?? statusUpdate)?.status.state.replace('TASK_STATE_', '');
}

/** What a receiver that follows the rules has of the answer at the end. */
export function textOf(received: readonly Received[]): string {
  const artifacts = new Map<string, string>();
  for (const each of received) {
    const { task, artifactUpdate } = event(each);
    if (task) artifacts.clear();
    for (const { artifactId, parts } of task?.artifacts ?? []) artifacts.set(artifactId, plain(parts));
    if (artifactUpdate) {
      const { artifact, append } = artifactUpdate;
      const before = append ? (artifacts.get(artifact.artifactId) ?? '') : '';
      artifacts.set(artifact.artifactId, before + plain(artifact.parts));
    }
  }
  return [...artifacts.values()].join('');
}

function plain(parts: Task['artifacts'][number]['parts']): string {
  return parts.map((part) => ('text' in part ? part.text : '')).join('');
}
