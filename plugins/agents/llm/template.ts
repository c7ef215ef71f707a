const name = '(?:(app|user|temp):)?([A-Za-z_][A-Za-z0-9_]*)(\\?)?';
const variable = new RegExp(`\\{\\{${name}\\}\\}|\\{${name}\\}`, 'g');

/** Values by name, one table for each prefix; `''` is for names without one. */
export type Variables = Readonly<Partial<Record<'' | 'app' | 'user' | 'temp', Readonly<Record<string, unknown>>>>>;

/**
 * Fills in `{name}`, `{user:name}`, `{temp:name}` and `{app:name}`, in single or double braces.
 *
 * A name without a value is left as it is, so that JSON and code in a prompt survive; `{name?}` then becomes nothing.
 * Values are not read again for variables.
 */
export function fillIn(template: string, variables: Variables): string {
  return template.replace(variable, (whole: string, ...groups: (string | undefined)[]) => {
    const [prefix = '', key = '', optional] = groups[1] === undefined ? groups.slice(3, 6) : groups;
    const table = variables[prefix as keyof Variables] ?? {};
    const value = Object.hasOwn(table, key) ? table[key] : undefined;
    if (value === undefined || value === null) return optional ? '' : whole;
    return typeof value === 'object' ? JSON.stringify(value) : String(value);
  });
}
