import type { Agent } from 'undici';
import type { AddressGuard } from '../../core/net/address-guard.ts';

export interface GuardedAgentOptions {
  readonly guard: AddressGuard;
  readonly connectMs: number;
}

/**
 * Connections to where others say. Every one of them goes to an address that the guard has just checked, whatever the
 * name of its host meant before; and none is redirected, because undici follows no redirects unless told to.
 */
export async function guardedAgent({ guard, connectMs }: GuardedAgentOptions): Promise<Agent> {
  const { Agent, buildConnector } = await import('undici');
  const connect = buildConnector({ lookup: guard.lookup, timeout: connectMs });
  return new Agent({
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 30_000,
    connect(target, callback) {
      try {
        guard.check(target.hostname);
      } catch (error) {
        queueMicrotask(() => callback(error as Error, null));
        return;
      }
      connect(target, callback);
    },
  });
}
