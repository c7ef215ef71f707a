import type { AuthRequest } from '../../core/index.ts';

/** The token of `Authorization: Bearer …`; `undefined` where there is none. */
export function bearerToken({ headers }: AuthRequest): string | undefined {
  const { authorization } = headers;
  if (typeof authorization !== 'string') return undefined;
  return /^bearer +([^ ]+) *$/i.exec(authorization)?.[1];
}

/** Whether a token has the three parts of a signed JWT, be they right or wrong. */
export function looksLikeJwt(token: string): boolean {
  return /^[^.]+\.[^.]+\.[^.]*$/.test(token);
}
