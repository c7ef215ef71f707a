import { HttpError } from '../http-error.ts';

/** What a path of the HTTP+JSON binding leads to. */
export type Resource =
  | 'send'
  | 'stream'
  | 'extendedCard'
  | 'tasks'
  | 'task'
  | 'cancel'
  | 'subscribe'
  | 'webhooks'
  | 'webhook';

export interface RestPath {
  readonly agent: string;
  /** Absent where the path names none. */
  readonly tenant?: string;
  readonly resource: Resource;
  /** The task's id, and the webhook's. */
  readonly ids: readonly string[];
}

const agentsFolder = '/agents/';

/**
 * `undefined` for a path that is none of this binding's. Segments are told apart before they are decoded, so that an id may
 * hold any character. Throws where one does not decode.
 */
export function restPath(path: string): RestPath | undefined {
  // Most requests are for an agent itself.
  if (!path.startsWith(agentsFolder) || !path.includes('/', agentsFolder.length)) return undefined;
  const [agent = '', ...segments] = path.slice(agentsFolder.length).split('/');
  if (segments.at(-1) === '') segments.pop();
  const [tenant, ...rest] = segments;
  const plain = match(segments);
  const found = plain ?? (tenant !== undefined && tenant !== '.well-known' ? match(rest) : undefined);
  if (!found) return undefined;
  return {
    agent: decode(agent),
    ...(!plain && { tenant: decode(tenant ?? '') }),
    resource: found.resource,
    ids: found.ids.map(decode),
  };
}

interface Match {
  readonly resource: Resource;
  readonly ids: readonly string[];
}

function match(segments: readonly string[]): Match | undefined {
  const [first, id, folder, configId] = segments;
  if (segments.length === 1) {
    if (/^message(?::|%3A)send$/i.test(first ?? '')) return { resource: 'send', ids: [] };
    if (/^message(?::|%3A)stream$/i.test(first ?? '')) return { resource: 'stream', ids: [] };
    if (first === 'extendedAgentCard') return { resource: 'extendedCard', ids: [] };
  }
  if (first !== 'tasks') return undefined;
  if (id === undefined) return { resource: 'tasks', ids: [] };
  if (folder === undefined) return task(id);
  if (folder !== 'pushNotificationConfigs') return undefined;
  if (configId === undefined) return { resource: 'webhooks', ids: [id] };
  return segments.length === 4 ? { resource: 'webhook', ids: [id, configId] } : undefined;
}

/** A colon of the id itself is encoded. */
function task(segment: string): Match {
  const [, id = segment, verb] = /^(.*):(cancel|subscribe)$/.exec(segment) ?? [];
  return { resource: (verb as 'cancel' | 'subscribe' | undefined) ?? 'task', ids: [id] };
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (error) {
    throw new HttpError(400, 'bad_request', 'The path holds a % that encodes nothing.', { cause: error });
  }
}
