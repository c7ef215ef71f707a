import type { SecurityScheme } from '../a2a.ts';

export interface Principal {
  /** Stable identifier of the caller; tasks and conversations belong to it. */
  readonly subject: string;
  readonly scopes: readonly string[];
  readonly claims: Readonly<Record<string, unknown>>;
  /** Tells two credentials of one subject apart. Not a secret: it is written to logs. */
  readonly credential?: string;
}

/** The claims `role` and `roles`, each of them one name or a list. */
export function rolesOf({ claims }: Principal): readonly string[] {
  return [claims['role'], claims['roles']].flat().filter((role) => typeof role === 'string');
}

/** Everybody, where no authentication is configured. */
export const anonymous: Principal = { subject: 'anonymous', scopes: [], claims: {} };

export interface AuthRequest {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly query: URLSearchParams;
}

/**
 * Turns credentials into a principal.
 *
 * `undefined` means that the request carries no credentials of this scheme, so the next scheme is asked. Credentials
 * that are present but not valid throw `AuthError`, and no other scheme is asked.
 */
export interface AuthScheme extends Partial<AsyncDisposable> {
  /** How an AgentCard advertises this scheme. */
  readonly securityScheme: SecurityScheme;
  authenticate(request: AuthRequest, signal: AbortSignal): Promise<Principal | undefined>;
}
