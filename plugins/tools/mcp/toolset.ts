import { setTimeout as sleep } from 'node:timers/promises';
import { HectorError, milliseconds, type Tool, type Toolset, type ToolsetContext } from '../../../core/index.ts';
import { resultOf } from './content.ts';
import { quoted } from './limits.ts';
import type { Listing } from './listing.ts';
import { namesFor } from './names.ts';
import type { McpOptions } from './options.ts';
import { Server } from './server.ts';
import { targetOf } from './target.ts';
import { isNoProgram, troubleOf } from './trouble.ts';

/** A build waits no longer for a server, however long that one may take: after a minute it would be given up. */
const longestWarmUpMs = 45_000;
const shown = 5;

/**
 * The tools of a server, those that it has at the moment. One that is not there is no error: its tools are those of the last
 * time, its calls fail, and it is looked for again and again. What can never work is one.
 */
export async function mcpToolset(options: McpOptions, context: ToolsetContext): Promise<Toolset> {
  const { name, logger, outbound } = context;
  const owner = `tools.${name}`;
  const target = await targetOf(options, owner, context.folder);
  const connectMs = milliseconds(options.connect_timeout);
  if (connectMs === 0)
    throw new HectorError('mcp_misconfigured', `${owner}.connect_timeout: 0 leaves no time to connect.`);
  const server = new Server({ name, target, connectMs, callMs: milliseconds(options.call_timeout), logger, outbound });

  let tell = (message: string) => context.warn(message);
  const offer = offerOf(server, options, name, (message) => tell(message));
  try {
    const outcome = await warmUp(server, Math.min(connectMs, longestWarmUpMs), context.signal);
    if (outcome === 'late') {
      tell(`${owner}: the MCP server is not up yet. Its tools are there as soon as it is.`);
    } else if (outcome.error !== undefined) {
      const trouble = troubleOf(outcome.error);
      if (isNoProgram(outcome.error)) {
        throw new HectorError(
          'mcp_misconfigured',
          `${owner}.command: "${options.command}" cannot be started: ${trouble}.`,
          {
            cause: outcome.error,
          },
        );
      }
      tell(`${owner}: the MCP server cannot be used now: ${trouble}. Its tools are there as soon as it can.`);
    } else offer((await server.list(context.signal)) as Listing);
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  tell = (message) => logger.warn({}, message);
  return {
    get incomplete() {
      return !server.listed;
    },
    async tools(signal) {
      const listing = await server.list(signal);
      return listing ? offer(listing) : [];
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function warmUp(server: Server, ms: number, signal: AbortSignal): Promise<{ readonly error: unknown } | 'late'> {
  signal.throwIfAborted();
  const settled = new AbortController();
  const first = server.start().then((error) => ({ error }));
  try {
    const either = AbortSignal.any([signal, settled.signal]);
    const late = sleep(ms, 'late' as const, { signal: either }).catch(() => 'late' as const);
    const outcome = await Promise.race([first, late]);
    signal.throwIfAborted();
    return outcome;
  } finally {
    settled.abort();
  }
}

/** The tools of a list as agents get them: the same objects for the same list. */
function offerOf(
  server: Server,
  { filter, prefix }: McpOptions,
  name: string,
  tell: (message: string) => void,
): (listing: Listing) => readonly Tool[] {
  const missed = new Set<string>();
  let last: { readonly listing: Listing; readonly tools: readonly Tool[] } | undefined;
  return (listing) => {
    if (last?.listing === listing) return last.tools;
    const kept = listing.tools.filter((tool) => !filter || filter.includes(tool.name));
    const unknown = (filter ?? []).filter(
      (wanted) => !missed.has(wanted) && !kept.some((tool) => tool.name === wanted),
    );
    for (const wanted of unknown) {
      missed.add(wanted);
      tell(
        `tools.${name}.filter: the MCP server has no tool "${wanted}". It has: ${some(listing.tools.map((tool) => tool.name))}.`,
      );
    }
    const names = namesFor(
      kept.map((tool) => tool.name),
      prefix ? `${name}_` : '',
    );
    const changed = kept.filter((tool) => names.get(tool.name) !== `${prefix ? `${name}_` : ''}${tool.name}`);
    if (changed.length > 0) {
      const pairs = changed.map((tool) => `${quoted(tool.name)} as ${names.get(tool.name)}`);
      tell(`tools.${name}: models do not accept the names of some tools. They get ${some(pairs)}.`);
    }
    const tools = Object.freeze(
      kept.map((tool): Tool => {
        const called = names.get(tool.name) ?? tool.name;
        return {
          name: called,
          description: tool.description || `The tool "${quoted(tool.name)}" of the MCP server "${name}"`,
          parameters: tool.parameters,
          ...(tool.idempotent && { idempotent: true }),
          execute: async (args, { signal, progress }) =>
            resultOf(await server.call({ tool: tool.name, arguments: args, signal, progress }), called),
        };
      }),
    );
    last = { listing, tools };
    return tools;
  };
}

function some(items: readonly string[]): string {
  const more = items.length > shown ? ` and ${items.length - shown} more` : '';
  return items.length === 0 ? 'none' : `${items.slice(0, shown).join(', ')}${more}`;
}
