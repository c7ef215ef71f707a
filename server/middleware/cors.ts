import type { Middleware, ParameterizedContext } from 'koa';
import type { ConfigIssue } from '../../core/config/issue.ts';
import { milliseconds } from '../../core/config/language/common.ts';
import type { HectorConfig } from '../../core/config/language/hector.ts';
import type { Snapshot } from '../../core/config/snapshot.ts';
import { HttpError } from '../http-error.ts';
import type { RequestState } from '../state.ts';

type ServerConfig = HectorConfig['server'];
type Cors = NonNullable<ServerConfig['cors']>;

/** What the middleware needs of `Runtime`. */
interface Configured {
  readonly current: { readonly contents: { readonly config: HectorConfig } } | undefined;
}

/**
 * Tells browsers which pages of other origins may ask, and what. Without `server.cors` they are told nothing, and let no page
 * read an answer. What is answered to a page that may not ask is the same as to any other client: the browser keeps it.
 */
export function cors(runtime: Configured): Middleware<RequestState> {
  const rules = new WeakMap<Cors, CorsRule>();
  return function cors(ctx, next) {
    const config = runtime.current?.contents.config.server.cors;
    if (!config) return next();
    let rule = rules.get(config);
    if (!rule) {
      rule = new CorsRule(config);
      rules.set(config, rule);
    }
    return rule.apply(ctx) ? undefined : next();
  };
}

class CorsRule {
  readonly #allows: (origin: string) => boolean;
  readonly #all: boolean;
  readonly #credentials: boolean;
  readonly #exposed: string;
  readonly #preflight: Readonly<Record<string, string>>;

  constructor(cors: Cors) {
    const patterns = cors.allowed_origins.filter((entry) => entry !== '*').map(originPattern);
    this.#all = cors.allowed_origins.includes('*');
    this.#allows = (origin) => this.#all || patterns.some((pattern) => pattern.test(origin));
    this.#credentials = cors.allow_credentials;
    this.#exposed = cors.exposed_headers.join(', ');
    this.#preflight = {
      'Access-Control-Allow-Methods': cors.allowed_methods.map((method) => method.toUpperCase()).join(', '),
      'Access-Control-Allow-Headers': cors.allowed_headers.join(', '),
      'Access-Control-Max-Age': String(Math.floor(milliseconds(cors.max_age) / 1000)),
    };
  }

  /** Whether that was the whole answer. */
  apply(ctx: ParameterizedContext): boolean {
    // A cache must not give one origin the answer to another.
    if (!this.#all) ctx.vary('Origin');
    const origin = ctx.get('Origin');
    if (origin === '') return false;
    const isPreflight = ctx.method === 'OPTIONS' && ctx.get('Access-Control-Request-Method') !== '';
    if (!this.#allows(origin)) {
      if (!isPreflight) return false;
      throw new HttpError(403, 'origin_not_allowed', 'Pages of this origin may not use this server.');
    }
    ctx.set('Access-Control-Allow-Origin', this.#all ? '*' : origin);
    if (this.#credentials) ctx.set('Access-Control-Allow-Credentials', 'true');
    if (isPreflight) {
      ctx.set(this.#preflight);
      ctx.status = 204;
      return true;
    }
    if (this.#exposed !== '') ctx.set('Access-Control-Expose-Headers', this.#exposed);
    return false;
  }
}

/** `https://*.example.com` stands for all hosts below it, but not for itself. A port is part of an origin. */
function originPattern(entry: string): RegExp {
  const escaped = entry.toLowerCase().replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replace('://\\*\\.', '://(?:[a-z0-9-]+\\.)+')}$`);
}

/** What no browser would understand, and what would let any page act in the name of whoever looks at it. */
export function corsIssues({ config, locate }: Snapshot): readonly ConfigIssue[] {
  const { cors } = config.server;
  if (!cors) return [];
  const issues: ConfigIssue[] = [];
  const wrong = (message: string, ...rest: (string | number)[]) => {
    const path = ['server', 'cors', ...rest];
    issues.push({ path, message, rule: 'schema', ...locate(path) });
  };
  for (const [index, entry] of cors.allowed_origins.entries()) {
    if (isOriginEntry(entry)) continue;
    const message = `"${entry}" is not an origin. Write scheme, host and port as in "https://app.example.com", "https://*.example.com" for all hosts below one, or "*"`;
    wrong(message, 'allowed_origins', index);
  }
  if (cors.allow_credentials && cors.allowed_origins.includes('*')) {
    wrong(
      'cannot be combined with the origin "*": any page could then act in the name of whoever visits it. List the origins',
      'allow_credentials',
    );
  }
  return issues;
}

/** `null` is the origin of every sandboxed page, and so of anybody. */
function isOriginEntry(entry: string): boolean {
  if (entry === '*') return true;
  const plain = entry.toLowerCase().replace('://*.', '://');
  return URL.canParse(plain) && new URL(plain).origin === plain;
}
