import type { Tool, Toolset } from '../extension/toolset.ts';
import type { Logger } from '../logger.ts';

/** A toolset as one agent uses it. */
export interface ToolSource {
  /** Its key in `tools`. */
  readonly entry: string;
  readonly toolset: Toolset;
  /** Only these of its tools; absent means all. */
  readonly only?: ReadonlySet<string>;
  readonly requiresApproval: boolean;
}

const none: readonly Tool[] = [];

/**
 * The tools of an agent, gathered from its toolsets for each message, since those of a remote server come and go.
 * No two have one name: the entry that the configuration names first wins, and the clash is logged once.
 */
export class Toolbox {
  readonly #sources: readonly ToolSource[];
  readonly #logger: Logger;
  readonly #clashes = new Set<string>();
  #last: { lists: readonly (readonly Tool[])[]; tools: readonly Tool[] } | undefined;

  constructor(sources: readonly ToolSource[], logger: Logger) {
    this.#sources = sources;
    this.#logger = logger;
  }

  /** At once where there are none: an agent without tools pays nothing for them. */
  tools(signal: AbortSignal): Promise<readonly Tool[]> | readonly Tool[] {
    return this.#sources.length === 0 ? none : this.#gather(signal);
  }

  async #gather(signal: AbortSignal): Promise<readonly Tool[]> {
    const lists = await Promise.all(this.#sources.map((source) => source.toolset.tools(signal)));
    const last = this.#last;
    if (last && lists.every((list, index) => list === last.lists[index])) return last.tools;
    const tools = this.#merge(lists);
    this.#last = { lists, tools };
    return tools;
  }

  #merge(lists: readonly (readonly Tool[])[]): readonly Tool[] {
    const tools = new Map<string, Tool>();
    const owners = new Map<string, string>();
    for (const [index, source] of this.#sources.entries()) {
      for (const tool of lists[index] ?? []) {
        if (source.only && !source.only.has(tool.name)) continue;
        const owner = owners.get(tool.name);
        if (owner !== undefined) {
          this.#reportClash(tool.name, owner, source.entry);
          continue;
        }
        owners.set(tool.name, source.entry);
        tools.set(tool.name, source.requiresApproval ? awaitingApproval(tool) : tool);
      }
    }
    return [...tools.values()];
  }

  #reportClash(tool: string, first: string, second: string): void {
    const clash = `${tool}/${first}/${second}`;
    if (this.#clashes.has(clash)) return;
    this.#clashes.add(clash);
    this.#logger.warn(
      { tool, used: first, hidden: second },
      'two toolsets offer a tool of the same name: the first is used',
    );
  }
}

/** Nobody can be asked yet, so the call is refused rather than made without asking. */
function awaitingApproval(tool: Tool): Tool {
  return {
    name: tool.name,
    description: tool.description,
    parameters: tool.parameters,
    execute: () => {
      throw new Error('This tool requires the approval of a person, and this version of Hector cannot ask for it.');
    },
  };
}
