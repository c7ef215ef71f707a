import { anonymous } from '../core/extension/auth-scheme.ts';
import { type AddressedRequest, clientAddress } from './client-address.ts';
import type { RequestState } from './state.ts';

/** Whom limits hold for: a principal, or where nobody says who he is, an address. */
export interface Caller {
  /** Of no other caller. */
  readonly key: string;
  readonly isAnonymous: boolean;
}

export function callerOf(ctx: { readonly req: AddressedRequest; readonly state: RequestState }): Caller {
  const { principal } = ctx.state;
  if (principal === anonymous) return { key: `address ${clientAddress(ctx)}`, isAnonymous: true };
  return { key: `user ${principal.subject}`, isAnonymous: false };
}
