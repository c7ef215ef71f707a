import type { Registry } from '../plugin/registry.ts';
import { booleanIn } from './coerce.ts';
import type { Findings } from './findings.ts';
import { type ConfigTree, type ConfigValue, isMap, valueAt } from './tree.ts';

interface Options {
  readonly registry: Registry;
  readonly findings: Findings;
}

const auth = ['server', 'auth'] as const;

/** Keys of `server.auth` that stand for a scheme: the first of them calls for it. */
const shorthands: readonly { readonly type: string; readonly keys: readonly string[] }[] = [
  { type: 'api-key', keys: ['api_keys'] },
  { type: 'jwt', keys: ['jwks_url', 'issuer', 'audience', 'algorithms', 'clock_tolerance', 'refresh_interval'] },
];

/** The option of the scheme that a key of `server.auth` becomes, where the two are called differently. */
const renamed: Readonly<Record<string, string>> = { api_keys: 'keys' };

/** `server.auth.api_keys` and `jwks_url` become entries of `server.auth.schemes`. Nobody is let in by a check that is not there. */
export function expandAuth(tree: ConfigTree, { registry, findings }: Options): void {
  const section = valueAt(tree.root, auth);
  if (!isMap(section)) return;
  const given = shorthands.filter(({ keys }) => Object.hasOwn(section, keys[0] as string));
  if (!isOn(section['enabled'])) {
    for (const { keys } of given) {
      findings.warn(
        [...auth, keys[0] as string],
        'schema',
        'is not checked: authentication is off until server.auth.enabled is true',
      );
    }
    return;
  }
  const missing = given.filter(({ type }) => !registry.find('auth', type));
  for (const { type, keys } of missing) {
    const problem = `cannot be enforced: nothing here provides the auth scheme "${type}". Add a plugin that does, or remove it`;
    findings.error([...auth, keys[0] as string], 'plugin', problem);
  }
  for (const { keys } of shorthands.filter((shorthand) => !given.includes(shorthand))) {
    for (const key of keys.filter((each) => Object.hasOwn(section, each))) {
      findings.error([...auth, key], 'schema', `has no effect without ${keys[0]}`);
    }
  }
  for (const { type, keys } of given.filter((shorthand) => !missing.includes(shorthand)))
    addScheme(tree, section, type, keys);

  warnOfRivals(section['schemes'], findings);

  const schemes = section['schemes'];
  const nothing = schemes === undefined || schemes === null || (Array.isArray(schemes) && schemes.length === 0);
  if (nothing && given.length === 0) {
    findings.error(
      [...auth],
      'schema',
      'authentication is enabled with nothing to check. Give api_keys, jwks_url or schemes, or set enabled: false',
    );
  }
}

function addScheme(
  tree: ConfigTree,
  section: Record<string, ConfigValue>,
  type: string,
  keys: readonly string[],
): void {
  if (section['schemes'] === undefined) tree.set(section, 'schemes', [], { implied: true });
  const schemes = section['schemes'];
  // What else it may be is the schema's business.
  if (!Array.isArray(schemes)) return;
  const index = schemes.push({}) - 1;
  const { text, offset, flag } = tree.origin(section, keys[0] as string) ?? {};
  const written = text === undefined || offset === undefined ? {} : { text, offset };
  tree.set(schemes, index, { type }, { ...written, ...(flag === undefined ? {} : { flag }) });
  for (const key of keys) {
    if (Object.hasOwn(section, key)) tree.move([...auth, key], [...auth, 'schemes', index, renamed[key] ?? key]);
  }
}

/** The first scheme that reads a credential decides about it: another that reads the same is never asked. */
function warnOfRivals(schemes: ConfigValue | undefined, findings: Findings): void {
  if (!Array.isArray(schemes)) return;
  const first = new Map<string, number>();
  for (const [index, scheme] of schemes.entries()) {
    const read = isMap(scheme) ? readBy(scheme) : undefined;
    if (read === undefined) continue;
    const before = first.get(read.what);
    if (before === undefined) first.set(read.what, index);
    else {
      const problem = `is never asked: schemes[${before}] has the same type and refuses what it does not know. ${read.advice}`;
      findings.warn([...auth, 'schemes', index, 'type'], 'schema', problem);
    }
  }
}

function readBy({ type, header }: Record<string, ConfigValue>): { what: string; advice: string } | undefined {
  if (type === 'jwt') return { what: 'jwt', advice: 'Only one identity provider can be asked' };
  if (type !== 'api-key') return undefined;
  const name = typeof header === 'string' ? header.toLowerCase() : 'x-api-key';
  return { what: `api-key ${name}`, advice: 'List all keys in one place' };
}

const isOn = (value: ConfigValue | undefined) =>
  value === true || (typeof value === 'string' && booleanIn(value) === true);
