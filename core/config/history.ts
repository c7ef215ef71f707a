import type { PointName } from '../extension/points.ts';

/** Keys of Hector v2, or of its documentation, that are gone or not there yet. `*` is any name. */
export const goneKeys: readonly { readonly at: string; readonly why: string }[] = [
  { at: 'server.tls', why: 'Hector serves HTTP; terminate TLS at a proxy in front of it, and remove this key' },
  { at: 'server.grpc_port', why: 'Hector speaks JSON-RPC over HTTP, on server.port; remove this key' },
  { at: 'agents.*.trigger', why: 'starting an agent by a schedule or a webhook is not in this version of Hector' },
  { at: 'agents.*.notifications', why: 'notifications are not in this version of Hector' },
  { at: 'agents.*.guardrails', why: 'guardrails are not in this version of Hector' },
  { at: 'port', why: 'the port belongs under "server": server.port' },
  { at: 'host', why: 'the host belongs under "server": server.host' },
  { at: 'auth', why: 'authentication belongs under "server": server.auth' },
  { at: 'tasks', why: 'where tasks are kept belongs under "storage": storage.tasks' },
  { at: 'sessions', why: 'where conversations are kept belongs under "storage": storage.sessions' },
];

export const goneValues: readonly { readonly at: string; readonly value: string; readonly why: string }[] = [
  { at: 'server.transport', value: 'grpc', why: 'Hector speaks JSON-RPC over HTTP' },
];

/** What a later version provides. */
export const laterNames: Readonly<Partial<Record<PointName, readonly string[]>>> = {
  toolset: ['command'],
  agent: ['runner'],
  document_store: ['sql', 'api', 'collection'],
};

/** What the documentation of v2 called some keys, and what they are called. */
export const aliases: Readonly<Record<string, string>> = {
  max_open_conns: 'max_conns',
  max_idle_conns: 'max_idle',
  path: 'database',
  system_prompt: 'instruction',
  prompt: 'instruction',
  apikey: 'api_key',
  llm: 'llms',
  agent: 'agents',
};
