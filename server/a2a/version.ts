import { VersionNotSupportedError } from '@a2a-js/sdk/errors';
import type { Context } from '../request.ts';

export type ProtocolVersion = '1.0' | '0.3';

/** What the client says that it speaks: a header, or a parameter of the URL for clients that cannot set headers. */
export function requestedVersion(ctx: Context): string | undefined {
  const header = ctx.req.headers['a2a-version'];
  const parameter = ctx.querystring === '' ? undefined : new URLSearchParams(ctx.querystring).get('A2A-Version');
  return (typeof header === 'string' && header.trim()) || parameter?.trim() || undefined;
}

/** Major and minor count; a patch version is left out of account, as the specification wants it. */
export function supportedVersion(requested: string): ProtocolVersion {
  const version = /^(\d+\.\d+)(?:\.\d+)?$/.exec(requested)?.[1];
  if (version === '1.0' || version === '0.3') return version;
  throw new VersionNotSupportedError(`A2A version "${requested}" is not supported; this server speaks 1.0 and 0.3.`);
}
