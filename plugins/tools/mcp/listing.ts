import type { Client, StandardSchemaV1 } from '@modelcontextprotocol/client';
import { maxDefinitions, maxTools, quoted } from './limits.ts';

/** A tool as a server has it. */
export interface ServerTool {
  readonly name: string;
  readonly description: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** The server says that a call can be made again. It may be wrong, and harms nobody but itself then. */
  readonly idempotent: boolean;
}

export interface Listing {
  readonly tools: readonly ServerTool[];
  /** Equal for two lists that say the same. */
  readonly fingerprint: string;
  /** What of it is not offered, and why. */
  readonly notes: readonly string[];
}

/**
 * Results are read as they are: the SDK's schema would refuse a whole list for one tool that is not quite right, and a
 * whole result for one kind of content that it does not know.
 */
export const asItIs: StandardSchemaV1<unknown, unknown> = {
  '~standard': { version: 1, vendor: 'hector', validate: (value) => ({ value }) },
};

/** All the tools of a server, page by page. */
export async function listTools(client: Client, timeout: number, signal: AbortSignal): Promise<Listing> {
  const tools = new Map<string, ServerTool>();
  const notes: string[] = [];
  const seen = new Set<string>();
  const pieces: string[] = [];
  let size = 0;
  if (!client.getServerCapabilities()?.tools) {
    return { tools: [], fingerprint: '', notes: ['it has no tools'] };
  }
  let cursor: string | undefined;
  do {
    const params = cursor === undefined ? {} : { cursor };
    const page = record(await client.request({ method: 'tools/list', params }, asItIs, { timeout, signal }));
    for (const item of Array.isArray(page['tools']) ? page['tools'] : []) {
      const tool = toolOf(item);
      const text = JSON.stringify(item);
      if (typeof tool === 'string') notes.push(tool);
      else if (tools.has(tool.name)) notes.push(`it has two tools "${quoted(tool.name)}": the first is used`);
      else if (tools.size >= maxTools || size + text.length > maxDefinitions) {
        notes.push(`it has more than can be offered: only its first ${tools.size} tools are`);
        return { tools: [...tools.values()], fingerprint: pieces.join('\n'), notes };
      } else {
        tools.set(tool.name, tool);
        pieces.push(text);
        size += text.length;
      }
    }
    cursor = typeof page['nextCursor'] === 'string' ? page['nextCursor'] : undefined;
    if (cursor !== undefined && seen.size >= maxTools) break;
    if (cursor !== undefined && seen.has(cursor)) {
      notes.push('its list of tools goes round in a circle');
      break;
    }
    if (cursor !== undefined) seen.add(cursor);
  } while (cursor !== undefined);
  return { tools: [...tools.values()], fingerprint: pieces.join('\n'), notes };
}

/** Or what is wrong with it. */
function toolOf(item: unknown): ServerTool | string {
  const { name, title, description, inputSchema, annotations } = record(item);
  if (typeof name !== 'string' || name === '') return 'one of its tools has no name';
  const parameters = record(inputSchema);
  if (parameters['type'] !== undefined && parameters['type'] !== 'object') {
    return `its tool "${quoted(name)}" does not take an object`;
  }
  const hints = record(annotations);
  const said = [description, title, hints['title']].find(
    (text): text is string => typeof text === 'string' && text.trim() !== '',
  );
  return {
    name,
    description: said ?? '',
    parameters: { ...parameters, type: 'object' },
    idempotent: hints['readOnlyHint'] === true || hints['idempotentHint'] === true,
  };
}

export function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
