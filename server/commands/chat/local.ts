import { randomBytes } from 'node:crypto';
import { formatIssue } from '../../../core/config/issue.ts';
import type { HectorConfig } from '../../../core/config/language/hector.ts';
import { Secrets } from '../../../core/config/secrets.ts';
import type { Snapshot } from '../../../core/config/snapshot.ts';
import { closest, listed } from '../../../core/config/suggestion.ts';
import { HectorError } from '../../../core/errors.ts';
import { defaultAgent } from '../../banner.ts';
import { startHector } from '../../hector.ts';
import { openLogging } from '../../logging.ts';
import { loadConfiguration } from '../configuration.ts';

export interface LocalFlags {
  readonly config?: string;
  /** The log goes to standard error. */
  readonly verbose?: boolean;
}

/** A runtime of this process alone. */
export interface LocalHector extends AsyncDisposable {
  readonly url: string;
  /** Who does not have it is not let in. */
  readonly token: string;
  readonly agent: string;
}

/**
 * Serves the agents of a file for one conversation: at a port of its own on the loopback interface, for the bearer of a
 * token that nobody else has.
 */
export async function startLocal(
  name: string | undefined,
  { config: file, verbose = false }: LocalFlags,
  onWarning: (text: string) => void,
): Promise<LocalHector> {
  const loaded = await loadConfiguration(file, { host: '127.0.0.1', port: 0 });
  const agent = choose(loaded.config, name);
  const token = randomBytes(24).toString('base64url');
  const snapshot = forOne(loaded, agent, token);
  const { logger: log } = snapshot.config;
  const logging =
    verbose || log.file !== undefined
      ? openLogging({ ...log, file: verbose ? undefined : log.file, secrets: snapshot.secrets })
      : undefined;
  try {
    const hector = await startHector({
      serve: { snapshot },
      ...(logging && { logger: logging.logger }),
      onSecrets: (secrets) => logging?.setSecrets(secrets),
      onWarning: (issue) => onWarning(formatIssue(snapshot.source, issue)),
    });
    for (const issue of snapshot.warnings) onWarning(formatIssue(snapshot.source, issue));
    return {
      url: hector.url,
      token,
      agent,
      async [Symbol.asyncDispose]() {
        await hector.close('The chat is over.');
        await logging?.[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await logging?.[Symbol.asyncDispose]();
    throw error;
  }
}

function choose({ agents, ...config }: HectorConfig, name: string | undefined): string {
  const enabled = Object.keys(agents).filter((each) => agents[each]?.enabled);
  const chosen = name ?? defaultAgent({ agents, ...config }) ?? enabled[0];
  if (chosen === undefined) throw new HectorError('unknown_agent', 'The configuration has no agent to talk to.');
  if (enabled.includes(chosen)) return chosen;
  if (Object.hasOwn(agents, chosen)) {
    throw new HectorError('unknown_agent', `The agent "${chosen}" is switched off: agents.${chosen}.enabled is false.`);
  }
  const hint = closest(chosen, enabled);
  const question = hint === undefined ? '' : ` Did you mean "${hint}"?`;
  throw new HectorError('unknown_agent', `No agent is named "${chosen}" ${listed('defined', enabled)}.${question}`);
}

/** Whose file it is may talk to any agent in it, and nobody else may talk to this process. */
function forOne(snapshot: Snapshot, name: string, token: string): Snapshot {
  const { server, agents } = snapshot.config;
  const { public_url: _elsewhere, ...rest } = server;
  const agent = agents[name];
  const config: HectorConfig = {
    ...snapshot.config,
    server: {
      ...rest,
      default_agent: name,
      auth: {
        enabled: true,
        require_auth: true,
        excluded_paths: [],
        schemes: [
          {
            type: 'api-key',
            keys: [{ key: token, subject: 'hector-chat', scopes: [], roles: [] }],
            header: 'X-API-Key',
          } as {
            type: string;
          },
        ],
      },
      shutdown: { delay: '0', timeout: '1s' },
    },
    agents: agent && agent.visibility !== 'public' ? { ...agents, [name]: { ...agent, visibility: 'public' } } : agents,
  };
  return { ...snapshot, config, secrets: new Secrets([...snapshot.secrets.values, token]) };
}
