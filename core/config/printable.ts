import { isSensitive } from './sensitive.ts';
import { escaped } from './template.ts';
import type { ConfigTree, ConfigValue, Container } from './tree.ts';

const hidden = '***';

/** The configuration as it may be shown: references instead of what they stand for, and no secret that was written out. */
export function printableOf(tree: ConfigTree): unknown {
  const path: (string | number)[] = [];
  const show = (container: Container, key: string | number, value: ConfigValue): unknown => {
    const origin = tree.origin(container, key);
    if (origin?.reference !== undefined) return origin.reference;
    path.push(key);
    try {
      if (typeof value === 'object' && value !== null) return inside(value);
      if (value !== null && value !== '' && (origin?.secret || isSensitive(path))) return hidden;
      return typeof value === 'string' ? escaped(value) : value;
    } finally {
      path.pop();
    }
  };
  const inside = (container: Container): unknown =>
    Array.isArray(container)
      ? container.map((value, index) => show(container, index, value))
      : Object.fromEntries(Object.entries(container).map(([key, value]) => [key, show(container, key, value)]));
  return inside(tree.root);
}
