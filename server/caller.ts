import { isIP } from 'node:net';
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
  if (principal === anonymous) return { key: `address ${networkOf(clientAddress(ctx))}`, isAnonymous: true };
  return { key: `user ${principal.subject}`, isAnonymous: false };
}

/** Who has an IPv6 address has at least its /64, and can take another address of it for every request. */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [left = '', right] = address.split('::');
  const groups = (half: string) => (half === '' ? [] : half.split(':'));
  const [before, after] = [groups(left), groups(right ?? '')];
  const zeros = right === undefined ? 0 : 8 - before.length - after.length;
  return `${[...before, ...Array<string>(zeros).fill('0'), ...after].slice(0, 4).join(':')}::/64`;
}
