import type { RateLimiting } from '../../core/config/language/rate-limiting.ts';
import { callerOf } from '../caller.ts';
import type { Context } from '../request.ts';

/** Whom the limits of a scope hold for, when a message belongs to a context. Who has no name is known by his address. */
export function identityOf(
  ctx: Pick<Context, 'req' | 'state'>,
  scope: RateLimiting['scope'],
  contextId: string,
): string {
  const caller = callerOf(ctx);
  const { subject, credential } = ctx.state.principal;
  switch (scope) {
    case 'session':
      return JSON.stringify([scope, caller.key, contextId]);
    case 'user':
      return JSON.stringify([scope, caller.key]);
    case 'key':
      return JSON.stringify([scope, caller.isAnonymous ? caller.key : (credential ?? subject)]);
  }
}
