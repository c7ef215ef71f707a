import type { RequestListener, Server } from 'node:http';
import type { ServerConfig } from '../core/config/language/server.ts';
import type { Logger } from '../core/logger.ts';
import { listen, portOf } from './listen.ts';
import { reachableHost } from './reachable-host.ts';

export interface ListenersOptions {
  readonly config: ServerConfig;
  readonly main: RequestListener;
  /** What answers at `server.admin`. */
  readonly admin: RequestListener;
  readonly logger: Logger;
}

/** The sockets of a process. */
export interface Listeners {
  readonly server: Server;
  readonly url: string;
  readonly port: number;
  /** Where the configuration has one. */
  readonly admin: { readonly url: string; close(): Promise<void> } | undefined;
}

/** Opens both, or none. */
export async function openListeners({ config, main, admin, logger }: ListenersOptions): Promise<Listeners> {
  const server = await listen(config, main, logger);
  const listeners = { server, url: urlOf(config.host, server), port: portOf(server) };
  if (!config.admin) return { ...listeners, admin: undefined };
  try {
    const second = await listen({ ...config, ...config.admin }, admin, logger, 'server.admin');
    return { ...listeners, admin: { url: urlOf(config.admin.host, second), close: () => close(second) } };
  } catch (error) {
    await close(server);
    throw error;
  }
}

const urlOf = (host: string, server: Server) => `http://${reachableHost(host)}:${portOf(server)}`;

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}
