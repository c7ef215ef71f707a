import { UsageError } from '../usage-error.ts';
import { connect, type RemoteAgent } from './agent.ts';
import { type CredentialFlags, credentials } from './credentials.ts';
import { findAgent, listAgents } from './find.ts';
import { remoteFetch } from './http.ts';

export interface RemoteFlags extends CredentialFlags {
  readonly agent?: string;
}

/** A server, and one of its agents. */
export interface Remote {
  readonly agent: RemoteAgent;
  /** The names of all agents; `undefined` where the server does not tell. */
  names(signal: AbortSignal): Promise<readonly string[] | undefined>;
}

/** Finds the agent at an address. */
export async function openRemote(address: string, flags: RemoteFlags, signal: AbortSignal): Promise<Remote> {
  const url = addressOf(address);
  const fetch = remoteFetch({ origin: url.origin, headers: credentials(flags) });
  const agent = await connect(await findAgent(url, { fetch, agent: flags.agent, signal }), fetch);
  return {
    agent,
    names: async (each) => (await listAgents(url, { fetch, signal: each }))?.map(({ name }) => name),
  };
}

function addressOf(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`"${address}" is not an address: it begins with http:// or https://.`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new UsageError(
      "A password in an address is not sent. Give it as a header: --header 'Authorization: Basic …'.",
    );
  }
  url.hash = '';
  return url;
}
