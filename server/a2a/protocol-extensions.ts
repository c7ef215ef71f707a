import { Extensions } from '@a2a-js/sdk';
import type { AgentConfig } from '../../core/config/language/agent.ts';
import { toolCallsExtension } from '../../core/extension/protocol-extensions.ts';
import type { ServedAgent } from '../../core/runtime/generation.ts';
import type { Context } from '../request.ts';
import type { ProtocolVersion } from './version.ts';

/** An extension of the protocol as a card declares it. */
export interface DeclaredExtension {
  readonly uri: string;
  readonly description: string;
  readonly required: boolean;
}

const toolCalls: DeclaredExtension = {
  uri: toolCallsExtension,
  description: 'Tells of the calls of tools, in statuses of the working task',
  required: false,
};

/** What an agent knows beyond the protocol. */
export function extensionsOf({ type }: AgentConfig): readonly DeclaredExtension[] {
  return type === 'llm' ? [toolCalls] : [];
}

const headers: Readonly<Record<ProtocolVersion, string>> = { '1.0': 'A2A-Extensions', '0.3': 'X-A2A-Extensions' };
const none: ReadonlySet<string> = new Set();

/** Those that the caller asks for and the agent knows. The response says which; the others are left alone. */
export function activateExtensions(ctx: Context, agent: ServedAgent, version: ProtocolVersion): ReadonlySet<string> {
  const asked = ctx.req.headers['a2a-extensions'] ?? ctx.req.headers['x-a2a-extensions'];
  if (asked === undefined) return none;
  const wanted = new Set(Extensions.parseServiceParameter(String(asked)));
  const active = extensionsOf(agent.config).flatMap(({ uri }) => (wanted.has(uri) ? [uri] : []));
  if (active.length === 0) return none;
  ctx.res.setHeader(headers[version], Extensions.toServiceParameter(active));
  return new Set(active);
}
