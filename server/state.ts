import type { Principal } from '../core/extension/auth-scheme.ts';
import type { Logger } from '../core/logger.ts';
import type { Lease } from '../core/runtime/generation.ts';
import type { Meter } from '../core/task/requests.ts';

/** What the middleware has found out about a request by the time that a route sees it: `ctx.state`. */
export interface RequestState {
  /** Also in the response's `X-Request-Id` and in every log line. */
  requestId: string;
  logger: Logger;
  /** The generation that serves the request, from its first byte to its last. Released when the response closes. */
  lease: Lease;
  principal: Principal;
  /** What the caller typed to come here, `https://agents.example.com`: public_url, a trusted proxy's word, or Host. */
  origin: string;
  /** What messages to agents are counted with, where rate_limiting is enabled. */
  meter?: Meter;
  /** Takes a place among the open streams, until the response closes. Throws where there is none. */
  takeStream?: () => void;
}
