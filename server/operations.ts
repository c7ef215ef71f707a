import type { Middleware, ParameterizedContext } from 'koa';
import type { ConfigStatus } from '../core/config/status.ts';
import { errorMessage, HectorError } from '../core/errors.ts';
import type { StorageBackend } from '../core/extension/storage-backend.ts';
import type { Logger } from '../core/logger.ts';
import type { Generation } from '../core/runtime/generation.ts';
import { HttpError } from './http-error.ts';
import type { Lender } from './middleware/lease.ts';

export interface OperationsOptions {
  readonly runtime: Lender & { readonly current: Generation | undefined };
  readonly version: string;
  readonly logger: Logger;
  /** Where the process stands with the source of its configuration, if it has one. */
  status?(): ConfigStatus | undefined;
  /** How long storage may take to answer before it counts as unreachable. */
  readonly pingMs?: number;
  /** How long the answer of one check serves the probes that follow. */
  readonly cacheMs?: number;
}

type Check = 'ok' | 'unreachable';

/** Whether this process should get requests: what load balancers and orchestrators ask. None of it needs credentials. */
export class Operations {
  readonly #options: Required<Omit<OperationsOptions, 'status'>> & OperationsOptions;
  readonly #routes: ReadonlyMap<string, (ctx: ParameterizedContext) => void | Promise<void>>;
  #draining = false;
  #storage: { readonly generation: Generation; readonly until: number; readonly check: Promise<Check> } | undefined;
  #reachable = true;

  constructor(options: OperationsOptions) {
    this.#options = { pingMs: 1_000, cacheMs: 1_000, ...options };
    this.#routes = new Map([
      ['/health', (ctx) => this.#health(ctx)],
      ['/health/live', (ctx) => answer(ctx, 200, { status: 'alive' })],
      ['/health/ready', (ctx) => this.#ready(ctx)],
    ]);
  }

  /** From now on every probe but the one for life says that others should get the requests. */
  drain(): void {
    this.#draining = true;
  }

  /** Whether storage answers, as readiness has it. Only while something serves. */
  storage(): Promise<Check> {
    return this.#checkStorage();
  }

  get draining(): boolean {
    return this.#draining;
  }

  routes(): Middleware {
    return (ctx, next) => {
      // Tells clients with a kept connection to open their next one elsewhere.
      if (this.#draining) ctx.res.shouldKeepAlive = false;
      const handler = this.#routes.get(ctx.path);
      if (!handler) return next();
      if (ctx.method !== 'GET' && ctx.method !== 'HEAD') {
        throw new HttpError(405, 'method_not_allowed', `${ctx.path} is only read.`, {
          headers: { Allow: 'GET, HEAD' },
        });
      }
      ctx.set('Cache-Control', 'no-store');
      return handler(ctx);
    };
  }

  /** Degraded: it serves as well as ever, but an older configuration than there may be. */
  get #status(): 'healthy' | 'degraded' | 'draining' | 'starting' {
    if (this.#draining) return 'draining';
    if (!this.#options.runtime.current) return 'starting';
    return this.#options.status?.()?.state === 'degraded' ? 'degraded' : 'healthy';
  }

  #health(ctx: ParameterizedContext): void {
    const status = this.#status;
    const generation = this.#options.runtime.current;
    answer(ctx, serves(status) ? 200 : 503, {
      status,
      version: this.#options.version,
      ...(generation && { generation: generation.id, config: generation.contents.hash.slice(0, 12) }),
      ...(generation && authOf(generation)),
    });
  }

  async #ready(ctx: ParameterizedContext): Promise<void> {
    const status = this.#status;
    if (!serves(status)) {
      answer(ctx, 503, { status });
      return;
    }
    const configuration = status === 'degraded' ? 'degraded' : 'ok';
    const storage = await this.#checkStorage();
    const ready = storage === 'ok' && !this.#draining;
    answer(ctx, ready ? 200 : 503, { status: ready ? 'ready' : 'not_ready', checks: { configuration, storage } });
  }

  /** One check at a time, however many probes ask. */
  #checkStorage(): Promise<Check> {
    const { runtime, cacheMs } = this.#options;
    const known = this.#storage;
    if (known && known.generation === runtime.current && performance.now() < known.until) return known.check;
    const lease = runtime.lease('GET /health/ready');
    const { tasks, sessions } = lease.generation.contents;
    const check = Promise.all([...new Set([tasks, sessions])].map((backend) => this.#ping(backend)))
      .then((checks): Check => (checks.every(Boolean) ? 'ok' : 'unreachable'))
      .finally(() => lease.release());
    this.#storage = { generation: lease.generation, until: performance.now() + cacheMs, check };
    return check;
  }

  async #ping(backend: StorageBackend): Promise<boolean> {
    const { pingMs, logger } = this.#options;
    const timeout = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        const error = new HectorError('storage_timeout', `Storage did not answer within ${pingMs} ms.`);
        timeout.abort(error);
        reject(error);
      }, pingMs);
    });
    try {
      await Promise.race([backend.ping(timeout.signal), late]);
      if (!this.#reachable) logger.info({}, 'storage answers again');
      this.#reachable = true;
      return true;
    } catch (error) {
      if (this.#reachable) logger.error({ reason: errorMessage(error) }, 'storage does not answer: not ready');
      this.#reachable = false;
      return false;
    } finally {
      clearTimeout(timer);
    }
  }
}

function serves(status: string): boolean {
  return status === 'healthy' || status === 'degraded';
}

/** What a console needs to know to log its user in. */
function authOf(generation: Generation) {
  const { auth } = generation.contents.config.server;
  if (!auth?.enabled) return {};
  const { client_id } = auth;
  // The shorthand becomes a scheme, too. Of several, a console can only log in to one.
  const jwt = (auth.schemes ?? []).find((scheme) => scheme.type === 'jwt');
  const { issuer, audience } = (jwt ?? {}) as { readonly issuer?: unknown; readonly audience?: unknown };
  return {
    auth: {
      enabled: true,
      type: [...generation.contents.authSchemes.keys()].join(', '),
      ...(issuer !== undefined && { issuer }),
      ...(audience !== undefined && { audience }),
      ...(client_id !== undefined && { client_id }),
    },
  };
}

function answer(ctx: ParameterizedContext, status: number, body: object): void {
  ctx.status = status;
  ctx.set('Content-Type', 'application/json');
  ctx.body = JSON.stringify(body);
}
