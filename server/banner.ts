import type { ConfigIssue } from '../core/config/issue.ts';
import { formatIssue } from '../core/config/issue.ts';
import type { AgentConfig } from '../core/config/language/agent.ts';
import type { HectorConfig } from '../core/config/language/hector.ts';
import type { GenerationContents } from '../core/runtime/generation.ts';

export interface BannerOptions {
  readonly version: string;
  /** The way to it from this machine. */
  readonly url: string;
  /** The way to server.admin, where there is one. */
  readonly adminUrl?: string | undefined;
  readonly contents: Pick<GenerationContents, 'config' | 'hash' | 'source' | 'authSchemes'>;
  readonly warnings: readonly ConfigIssue[];
  readonly color: boolean;
}

/** What `hector serve` prints once it serves: what is where, who may come in, and the line that talks to it. */
export function banner({ version, url, adminUrl, contents, warnings, color }: BannerOptions): string {
  const { config, hash, source } = contents;
  const bold = (text: string) => (color ? `\u001b[1m${text}\u001b[0m` : text);
  const listed = Object.entries(config.agents).filter(
    ([, { enabled, visibility }]) => enabled && visibility !== 'private',
  );
  const spoken = defaultAgent(config);
  const row = (name: string, text: string) => `  ${name.padEnd(8)}${text}`;

  const lines = [bold(`Hector ${version}`), '', row('Server', url)];
  if (config.server.public_url !== undefined) lines.push(row('Public', config.server.public_url));
  if (adminUrl !== undefined) lines.push(row('Admin', `${adminUrl} (${adminHas(config)})`));
  if (spoken !== undefined) lines.push(row('Card', `${url}/.well-known/agent-card.json`));
  const width = Math.max(0, ...listed.map(([name]) => name.length));
  listed.forEach(([name, agent], index) => {
    const model = modelOf(config, agent);
    const detail = [model, agent.visibility === 'internal' ? 'internal' : undefined].filter(Boolean).join(', ');
    lines.push(
      row(index === 0 ? 'Agents' : '', `${name.padEnd(width)}  ${url}/agents/${name}${detail && `  (${detail})`}`),
    );
  });
  if (listed.length === 0) lines.push(row('Agents', 'none that can be called over HTTP'));
  lines.push(row('Auth', authMode(contents)));
  lines.push(row('Config', `${source} (${hash.slice(0, 12)})`));
  if (warnings.length > 0) lines.push('', ...warnings.map((issue) => `  Warning: ${formatIssue(source, issue)}`));
  if (spoken !== undefined) lines.push('', 'Talk to it:', '', `  ${curl(url, spoken, authHeader(contents))}`);
  return `${lines.join('\n')}\n\n`;
}

/** What is printed instead while no configuration could be had yet. */
export function waitingBanner({
  version,
  url,
  adminUrl,
  source,
  color,
}: Omit<BannerOptions, 'contents' | 'warnings'> & { source: string }): string {
  const title = color ? `\u001b[1mHector ${version}\u001b[0m` : `Hector ${version}`;
  return `${title}\n\n  Server  ${url}\n  Config  ${source}: waiting for it (${adminUrl ?? url}/api/config/status says why)\n\n`;
}

/** As the A2A routes choose it: the named one, else the first public one. */
export function defaultAgent({ server, agents }: HectorConfig): string | undefined {
  if (server.default_agent !== undefined) return server.default_agent;
  return Object.entries(agents).find(([, { enabled, visibility }]) => enabled && visibility === 'public')?.[0];
}

/** `openai/gpt-4o`; nothing for an agent that uses no LLM. */
export function modelOf({ llms }: HectorConfig, agent: AgentConfig): string | undefined {
  const llm = typeof agent['llm'] === 'string' ? llms[agent['llm']] : undefined;
  if (!llm) return undefined;
  return typeof llm['model'] === 'string' ? `${llm.provider}/${llm['model']}` : llm.provider;
}

/** What is there and not at the first address. */
function adminHas({ observability: { metrics } }: HectorConfig): string {
  return metrics.enabled ? `${metrics.endpoint} and /api` : '/api';
}

function authMode({ config, authSchemes }: BannerOptions['contents']): string {
  const { auth } = config.server;
  if (!auth?.enabled) return 'none: whoever can reach this port can talk to the agents';
  const schemes = [...authSchemes.keys()].join(', ');
  return auth.require_auth ? schemes : `${schemes}; callers without credentials are let in as anonymous`;
}

function authHeader({ config, authSchemes }: BannerOptions['contents']): string[] {
  return config.server.auth?.enabled && authSchemes.size > 0 ? ["-H 'Authorization: Bearer YOUR_TOKEN'"] : [];
}

/** A message's id names it for good, so each run of the line needs another: the shell fills it in. */
function curl(url: string, agent: string, headers: readonly string[]): string {
  const request = {
    jsonrpc: '2.0',
    id: 1,
    method: 'SendMessage',
    params: { message: { messageId: "hello-'$(date +%s)'", role: 'ROLE_USER', parts: [{ text: 'Hello!' }] } },
  };
  return [
    `curl -s ${url}/agents/${agent}`,
    "-H 'Content-Type: application/json'",
    "-H 'A2A-Version: 1.0'",
    ...headers,
    `-d '${JSON.stringify(request)}'`,
  ].join(' ');
}
