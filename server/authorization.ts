import type { ConfigIssue } from '../core/config/issue.ts';
import type { AllowRule } from '../core/config/language/agent.ts';
import type { Snapshot } from '../core/config/snapshot.ts';
import { anonymous, type Principal, rolesOf } from '../core/extension/auth-scheme.ts';
import type { ServedAgent } from '../core/runtime/generation.ts';
import { HttpError } from './http-error.ts';
import { unauthenticated } from './middleware/authenticate.ts';
import type { RequestState } from './state.ts';

type Asker = Pick<RequestState, 'principal' | 'lease'>;

/** Where no scheme is configured nobody can say who they are, so internal agents are then not reachable from outside. */
export function isAuthenticated({ principal }: Pick<Asker, 'principal'>): boolean {
  return principal !== anonymous;
}

/** Whether the caller may use an agent that he may know of. */
export function mayUse({ config: { allow } }: ServedAgent, { principal }: Asker): boolean {
  return allow === undefined || (isAuthenticated({ principal }) && allow.some((rule) => fits(rule, principal)));
}

/** Throws the answer for a caller who may not: 401 if he has not said who he is, else 403. */
export function requireUse(agent: ServedAgent, asker: Asker): void {
  if (mayUse(agent, asker)) return;
  if (!isAuthenticated(asker)) throw unauthenticated(asker.lease.generation.contents.authSchemes, false);
  throw forbidden(`You may not use the agent "${agent.name}".`);
}

/** The answer to a caller who is known and may not. */
export function forbidden(message: string): HttpError {
  return new HttpError(403, 'forbidden', message, {
    headers: { 'WWW-Authenticate': 'Bearer realm="hector", error="insufficient_scope"' },
  });
}

function fits({ scopes, roles, subjects }: AllowRule, principal: Principal): boolean {
  const oneOf = (wanted: readonly string[] | undefined, has: readonly string[]) =>
    wanted === undefined || wanted.some((each) => has.includes(each));
  return oneOf(scopes, principal.scopes) && oneOf(roles, rolesOf(principal)) && oneOf(subjects, [principal.subject]);
}

/** `allow` where nobody can say who he is would let nobody in; where it was meant to keep somebody out, that is not done by it alone. */
export function allowIssues({ config, agents, locate }: Snapshot, names: Iterable<string>): readonly ConfigIssue[] {
  if (config.server.auth?.enabled) return [];
  const issues: ConfigIssue[] = [];
  for (const name of names) {
    const agent = agents.get(name);
    if (!agent?.enabled || agent.allow === undefined) continue;
    const path = ['agents', name, 'allow'];
    const message =
      'says who may use the agent, but server.auth is off, so nobody can say who he is. Enable server.auth, or remove allow';
    issues.push({ path, message, rule: 'allow', ...locate(path) });
  }
  return issues;
}
