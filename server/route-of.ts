import { type Resource, restPath } from './a2a/rest-path.ts';

const fixed: ReadonlySet<string> = new Set([
  '/health',
  '/health/live',
  '/health/ready',
  '/agents',
  '/.well-known/agent-card.json',
  '/v1/chat/completions',
  '/v1/models',
  '/mcp',
  '/api/config',
  '/api/config/status',
  '/api/config/reload',
  '/api/schema',
  '/api/status',
]);
const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

const templates: Readonly<Record<Resource, string>> = {
  send: 'message:send',
  stream: 'message:stream',
  extendedCard: 'extendedAgentCard',
  tasks: 'tasks',
  task: 'tasks/{id}',
  cancel: 'tasks/{id}:cancel',
  subscribe: 'tasks/{id}:subscribe',
  webhooks: 'tasks/{id}/pushNotificationConfigs',
  webhook: 'tasks/{id}/pushNotificationConfigs/{id}',
};

/** What no route takes, whatever it is. */
const other = '(other)';
const card = '/.well-known/agent-card.json';

/** The route that a path is of, with nothing in it that a caller has chosen: `/agents/{name}/tasks/{id}`. */
export function routeOf(path: string): string {
  if (fixed.has(path)) return path;
  if (path.startsWith('/v1/models/')) return '/v1/models/{id}';
  if (!path.startsWith('/agents/')) return other;
  const resource = resourceOf(path);
  if (resource) return `/agents/{name}/${templates[resource]}`;
  const below = path.slice('/agents/'.length);
  const slash = below.indexOf('/');
  if (slash === -1 || slash === below.length - 1) return '/agents/{name}';
  return below.slice(slash) === card ? `/agents/{name}${card}` : other;
}

/** A path that does not decode is of no route. */
function resourceOf(path: string): Resource | undefined {
  try {
    return restPath(path)?.resource;
  } catch {
    return undefined;
  }
}

export const methodOf = (method: string): string => (methods.has(method) ? method : other);
