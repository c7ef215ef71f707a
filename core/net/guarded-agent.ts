import type { Agent, buildConnector } from 'undici';
import type { AddressGuard } from './address-guard.ts';

export interface GuardedAgentOptions {
  /** Whose word counts for connections to this host and port. */
  guardOf(host: string, port: string): AddressGuard;
  readonly connectMs: number;
  /** To one origin; default: as many as are needed. */
  readonly maxConnections?: number | undefined;
}

/**
 * Connections to where others say. Every one of them goes to an address that its guard has just checked, whatever the
 * name of its host meant before; and none is redirected, because undici follows no redirects unless told to.
 */
export async function guardedAgent({ guardOf, connectMs, maxConnections }: GuardedAgentOptions): Promise<Agent> {
  const { Agent, buildConnector } = await import('undici');
  const connectors = new WeakMap<AddressGuard, buildConnector.connector>();
  const connectorOf = (guard: AddressGuard) => {
    const connect = connectors.get(guard) ?? buildConnector({ lookup: guard.lookup, timeout: connectMs });
    connectors.set(guard, connect);
    return connect;
  };
  return new Agent({
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 30_000,
    // Whoever asks has clocks of his own.
    headersTimeout: 0,
    bodyTimeout: 0,
    ...(maxConnections !== undefined && { connections: maxConnections }),
    connect(target, callback) {
      const guard = guardOf(target.hostname, portOf(target));
      try {
        guard.check(target.hostname);
      } catch (error) {
        queueMicrotask(() => callback(error as Error, null));
        return;
      }
      connectorOf(guard)(target, callback);
    },
  });
}

/** Of a URL, which leaves out the one that goes without saying. */
export function portOf({ protocol, port }: { readonly protocol: string; readonly port: string }): string {
  return port || (protocol === 'https:' ? '443' : '80');
}
