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
  // Most of a configuration is shown as it is: that need not be there twice.
  const inside = (container: Container): unknown => {
    const entries: [string | number, ConfigValue][] = Array.isArray(container)
      ? [...container.entries()]
      : Object.entries(container);
    let same = true;
    const shown = entries.map(([key, value]) => {
      const each = show(container, key, value);
      same &&= each === value;
      return [key, each] as const;
    });
    if (same) return container;
    return Array.isArray(container) ? shown.map(([, each]) => each) : Object.fromEntries(shown);
  };
  return inside(tree.root);
}
