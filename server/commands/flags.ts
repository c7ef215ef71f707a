import { resolve } from 'node:path';
import { parse } from 'yaml';
import type { Environment } from '../../core/config/environment.ts';
import type { ConfigPath } from '../../core/config/issue.ts';
import type { Override } from '../../core/config/load.ts';
import type { ConfigContent } from '../../core/extension/config-provider.ts';
import { UsageError } from './usage-error.ts';

/** The flags of `serve` that stand for something in the configuration. */
export interface Flags {
  readonly host?: string;
  readonly port?: number;
  readonly provider?: string;
  readonly model?: string;
  readonly apiKey?: string;
  readonly baseUrl?: string;
  readonly temperature?: number;
  readonly maxTokens?: number;
  readonly instruction?: string;
  readonly tools?: string;
  readonly mcpUrl?: string;
  readonly storage?: string;
  readonly storageDb?: string;
  readonly observe?: boolean;
  readonly logLevel?: string;
  readonly logFormat?: string;
  readonly logFile?: string;
}

const llmFlags = [
  ['model', 'model', '--model'],
  ['apiKey', 'api_key', '--api-key'],
  ['baseUrl', 'base_url', '--base-url'],
  ['temperature', 'temperature', '--temperature'],
  ['maxTokens', 'max_tokens', '--max-tokens'],
] as const;

/** The entry of `databases` that `--storage` makes, and the file that it is without `--storage-db`. */
const storageEntry = '_default';
const storageFile = '.hector/hector.db';

/** The entry of `tools` that `--mcp-url` makes. */
const mcpEntry = 'mcp';

const loggerKeys = [
  ['logLevel', 'level', '--log-level', 'LOG_LEVEL'],
  ['logFormat', 'format', '--log-format', 'LOG_FORMAT'],
  ['logFile', 'file', '--log-file', 'LOG_FILE'],
] as const;

/**
 * What wins over the document: flags, and for the log the environment after them. Flags of the model act on the default
 * LLM, those of the agent on the default agent, as the document names them.
 */
export function overridesOf(flags: Flags, content: ConfigContent, environment: Environment): Override[] {
  const overrides: Override[] = [];
  const set = (path: ConfigPath, value: unknown, origin: string, secret = false) =>
    overrides.push({ path, value, origin, ...(secret && { secret }) });

  if (flags.host !== undefined) set(['server', 'host'], flags.host, '--host');
  if (flags.port !== undefined) set(['server', 'port'], flags.port, '--port');
  for (const [flag, key, origin, variable] of loggerKeys) {
    const fromEnvironment = environment.get(variable) || undefined;
    if (flags[flag] !== undefined) set(['logger', key], flags[flag], origin);
    else if (fromEnvironment !== undefined) {
      set(['logger', key], key === 'file' ? fromEnvironment : fromEnvironment.toLowerCase(), variable);
    }
  }

  for (const [path, value, secret] of storageOf(flags, environment)) set(path, value, '--storage', secret);

  if (flags.observe) {
    for (const what of ['metrics', 'tracing']) set(['observability', what, 'enabled'], true, '--observe');
  }

  const names = new Names(content);
  if (flags.provider !== undefined || llmFlags.some(([flag]) => flags[flag] !== undefined)) {
    const llm = names.defaultLlm();
    if (flags.provider !== undefined && flags.provider !== names.providerOf(llm)) {
      // Everything else in the entry is meant for another provider, its key above all.
      set(['llms', llm], { provider: flags.provider }, '--provider');
    }
    for (const [flag, key, origin] of llmFlags) {
      if (flags[flag] !== undefined) set(['llms', llm, key], flags[flag], origin, flag === 'apiKey');
    }
  }
  if (flags.instruction !== undefined)
    set(['agents', names.defaultAgent(), 'instruction'], flags.instruction, '--instruction');
  // An entry of that name in the document is meant for another server, its headers above all.
  if (flags.mcpUrl !== undefined) set(['tools', mcpEntry], { type: 'mcp', url: flags.mcpUrl }, '--mcp-url');
  const added = flags.mcpUrl === undefined ? [] : [mcpEntry];
  if (flags.tools !== undefined) {
    set(['agents', names.defaultAgent(), 'tools'], names.tools(flags.tools, added), '--tools');
  }
  return overrides;
}

/** Both tasks and conversations, in one database. A file is where the command was given, not beside the configuration. */
function storageOf({ storage, storageDb }: Flags, environment: Environment): [ConfigPath, unknown, boolean][] {
  if (storage === undefined) {
    if (storageDb === undefined) return [];
    throw new UsageError(
      '--storage-db says where the database is. Say which with --storage sqlite or --storage postgres.',
    );
  }
  const places = (value: unknown): [ConfigPath, unknown, boolean][] => [
    [['storage', 'tasks'], value, false],
    [['storage', 'sessions'], value, false],
  ];
  if (storage === 'inmemory') {
    if (storageDb !== undefined) throw new UsageError('--storage inmemory has no database: leave out --storage-db.');
    return places({ backend: 'inmemory' });
  }
  const kept = places({ backend: 'sql', database: storageEntry });
  const entry: ConfigPath = ['databases', storageEntry];
  if (storage === 'sqlite') {
    return [[entry, { driver: 'sqlite', database: resolve(storageDb ?? storageFile) }, false], ...kept];
  }
  const dsn = storageDb ?? (environment.get('DATABASE_URL') || undefined);
  if (dsn === undefined) {
    throw new UsageError(
      '--storage postgres needs an address: postgres://user:password@host:5432/database as --storage-db or in DATABASE_URL.',
    );
  }
  return [[entry, { driver: 'postgres' }, false], [[...entry, 'dsn'], dsn, true], ...kept];
}

/** The names in a document that may be wrong in any way: loading it says how, with its lines. */
class Names {
  readonly #content: ConfigContent;
  #read: Readonly<Record<string, unknown>> | undefined;

  constructor(content: ConfigContent) {
    this.#content = content;
  }

  /** Read when a flag needs it: most starts have none. */
  get #document(): Readonly<Record<string, unknown>> {
    const { text, entries = new Map([['', text]]) } = this.#content;
    this.#read ??= merged(entries);
    return this.#read;
  }

  #keys(section: string): string[] {
    return Object.keys(record(this.#document[section]));
  }

  defaultLlm(): string {
    const named = record(this.#document['defaults'])['llm'];
    if (typeof named === 'string') return named;
    const llms = this.#keys('llms');
    if (llms.includes('default') || llms.length === 0) return 'default';
    const [only, ...others] = llms;
    if (only === undefined || others.length > 0) {
      throw new UsageError(
        `Which of the LLMs ${llms.join(', ')} do the flags mean? Name one of them in defaults.llm, or change the file instead.`,
      );
    }
    return only;
  }

  providerOf(llm: string): unknown {
    return record(record(this.#document['llms'])[llm])['provider'];
  }

  defaultAgent(): string {
    const named = record(this.#document['server'])['default_agent'];
    if (typeof named === 'string') return named;
    const agents = this.#keys('agents');
    return agents.includes('assistant') ? 'assistant' : (agents[0] ?? 'assistant');
  }

  tools(list: string, added: readonly string[]): string[] {
    if (list === 'all') return [...new Set([...this.#keys('tools'), ...added])];
    if (list === 'none') return [];
    return list
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '');
  }
}

/** What stands at `llms/default` is the value of `default` in `llms`. */
function merged(entries: ReadonlyMap<string, string>): Readonly<Record<string, unknown>> {
  const root = new Map<string, unknown>();
  for (const [path, text] of [...entries].sort(([a], [b]) => a.length - b.length)) {
    const [section, name, ...deeper] = path === '' ? [] : path.split('/');
    if (deeper.length > 0) continue;
    const value = parsed(text);
    if (section === undefined) for (const [key, each] of Object.entries(record(value))) root.set(key, each);
    else if (name === undefined) root.set(section, value);
    else root.set(section, { ...record(root.get(section)), [name]: value });
  }
  return Object.fromEntries(root);
}

function parsed(text: string): unknown {
  try {
    return parse(text, { logLevel: 'silent' });
  } catch {
    return undefined;
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
