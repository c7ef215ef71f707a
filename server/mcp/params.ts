import type { SpecTypeName, StandardSchemaV1Sync } from '@modelcontextprotocol/server';

type Schemas = Readonly<Record<(typeof types)[keyof typeof types], StandardSchemaV1Sync>>;

const types = {
  initialize: 'InitializeRequest',
  'server/discover': 'DiscoverRequest',
  ping: 'PingRequest',
  'tools/list': 'ListToolsRequest',
  'tools/call': 'CallToolRequest',
} as const satisfies Record<string, SpecTypeName>;

/**
 * What is wrong with a request of one of the methods that are served. The library finds it as well, but calls it an error
 * inside the server.
 */
export function problemOf(schemas: Schemas, request: Readonly<Record<string, unknown>>): string | undefined {
  const { method } = request;
  if (!isServed(method)) return undefined;
  const result = schemas[types[method]]['~standard'].validate(request);
  const [issue] = result.issues ?? [];
  if (!issue) return undefined;
  const path = (issue.path ?? []).map((key) => String(typeof key === 'object' ? key.key : key)).join('.');
  return `${path}: ${issue.message}`;
}

function isServed(method: unknown): method is keyof typeof types {
  return typeof method === 'string' && Object.hasOwn(types, method);
}
