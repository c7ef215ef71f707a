import { type ConfigMap, type ConfigValue, get } from './tree.ts';

/** The path that a JSON pointer takes through a value. */
export function pathOf(pointer: string, root: ConfigMap): (string | number)[] {
  const path: (string | number)[] = [];
  let value: ConfigValue | undefined = root;
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    const step = Array.isArray(value) ? Number(name) : name;
    path.push(step);
    value = get(value, step);
  }
  return path;
}
