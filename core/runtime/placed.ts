import type { ConfigPath } from '../config/issue.ts';

/** Where in the configuration, and what. */
export interface Placed {
  readonly path: ConfigPath;
  readonly message: string;
}

/**
 * A plugin may begin what it says with the place it means, `tools.shop.handler: there is no such file`. Where that lies in
 * its own entry, the line of it is shown, and the place is said once.
 */
export function placed(path: ConfigPath, message: string): Placed {
  const entry = path.join('.');
  const end = message.indexOf(': ');
  const place = message.slice(0, end);
  if (end < 0 || (place !== entry && !place.startsWith(`${entry}.`))) return { path, message };
  const inside = place.slice(entry.length + 1);
  if (!/^([a-z0-9_]+(\.[a-z0-9_]+)*)?$/.test(inside)) return { path, message };
  return { path: inside === '' ? path : [...path, ...inside.split('.')], message: message.slice(end + 2) };
}
