import type { Resolve } from './address-guard.ts';
import { GuardedClient } from './outbound-client.ts';
import { OutboundRules } from './outbound-rules.ts';

export interface OutboundInit {
  readonly method?: string | undefined;
  readonly headers?: RequestInit['headers'] | undefined;
  readonly body?: string | Uint8Array | null | undefined;
  readonly signal?: AbortSignal | null | undefined;
  /** How long the body may be, unpacked: reading more than that throws `outbound_too_large`. Default: 10 MiB. */
  readonly maxBytes?: number;
  /** For all of it, with redirects and body; then `outbound_timeout`. Default: 30 s. `Infinity`: as long as it takes. */
  readonly timeoutMs?: number;
  /** How many are followed; with 0 a redirect is an answer. Default: 3. */
  readonly maxRedirects?: number;
}

/** The one way to where others say: a model, a server, a caller. */
export interface GuardedFetch {
  /**
   * Like `fetch`, where the host is public or allowed by the configuration, and throws `outbound_refused` where it is not;
   * so for each redirect. Where one leads to another origin, only headers go there that are no secrets.
   */
  fetch(url: string | URL, init?: OutboundInit): Promise<Response>;
}

export interface OutboundClientOptions {
  /** URLs that the configuration holds: what is at their host and port may be at a private address, and is told of the trace. */
  readonly configured?: readonly (string | URL)[];
  /** How long to wait for a connection. Default: 10 s. */
  readonly connectMs?: number;
  /** To one origin. Default: as many as are needed. */
  readonly maxConnections?: number;
  /** Throws for a URL that is not to be asked for; called for each redirect too. */
  permit?(url: URL): void;
}

/** Connections of one user's own. Disposing of it cuts what is under way. */
export interface OutboundClient extends GuardedFetch, AsyncDisposable {
  /** When all has been loaded that a request needs; the first one waits for it anyway. */
  ready(): Promise<void>;
  /** The configuration holds this URL too. */
  configure(url: string | URL): void;
  /** Begins nothing any more; what is under way has so long to end. */
  close(graceMs: number): Promise<void>;
}

export interface Outbound extends GuardedFetch {
  client(options?: OutboundClientOptions): OutboundClient;
}

export interface OutboundOptions {
  /** Of `server.outbound`. */
  readonly allow?: readonly string[];
  readonly resolve?: Resolve;
}

/** Holds nothing of the configuration but the rules. */
export function createOutbound({ allow, resolve }: OutboundOptions = {}): Outbound {
  const rules = new OutboundRules(allow);
  const client = (options: OutboundClientOptions = {}) => new GuardedClient({ ...options, rules, resolve });
  let shared: OutboundClient | undefined;
  return {
    client,
    fetch(url, init) {
      // Its connections close themselves when nobody uses them.
      shared ??= client();
      return shared.fetch(url, init);
    },
  };
}
