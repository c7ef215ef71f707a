/** The conditions under which Hector imports a plugin. */
const conditions: ReadonlySet<string> = new Set(['node', 'import', 'module-sync', 'default']);

/**
 * The files that a package.json gives for `.` or `./subpath`, in the order to try them: what `import` does, for packages that
 * `require.resolve` refuses because they only have an `import` entry. Nothing is looked up on disk.
 */
export function packageEntry(description: unknown, subpath: string): readonly string[] {
  const { exports, main } = (description ?? {}) as { readonly exports?: unknown; readonly main?: unknown };
  if (exports !== undefined && exports !== null) {
    const target = exportedTarget(exports, subpath);
    return target === undefined ? [] : [target];
  }
  if (subpath !== '.') return [subpath];
  const entries =
    typeof main === 'string' && main !== '' ? [main, `${main}.js`, `${main}.cjs`, `${main}/index.js`] : [];
  return [...entries, 'index.js'];
}

function exportedTarget(exports: unknown, subpath: string): string | undefined {
  const keys = isObject(exports) ? Object.keys(exports) : [];
  if (!keys.some((key) => key.startsWith('.'))) return subpath === '.' ? resolved(exports, '') : undefined;
  const map = exports as Record<string, unknown>;
  if (Object.hasOwn(map, subpath) && !subpath.includes('*')) return resolved(map[subpath], '');
  // Of several patterns, the one with the longest part before the star.
  const patterns = keys.filter((key) => key.includes('*')).sort((a, b) => b.indexOf('*') - a.indexOf('*'));
  for (const pattern of patterns) {
    const [before = '', after = ''] = pattern.split('*');
    if (subpath.length >= pattern.length && subpath.startsWith(before) && subpath.endsWith(after)) {
      return resolved(map[pattern], subpath.slice(before.length, subpath.length - after.length));
    }
  }
  return undefined;
}

/** The first target whose conditions hold. `null` closes a path. */
function resolved(target: unknown, star: string): string | undefined {
  if (typeof target === 'string') return target.startsWith('./') ? target.replaceAll('*', star) : undefined;
  if (Array.isArray(target)) return first(target, star);
  if (!isObject(target)) return undefined;
  const holding = Object.keys(target).filter((condition) => conditions.has(condition));
  return first(
    holding.map((condition) => target[condition]),
    star,
  );
}

function first(targets: readonly unknown[], star: string): string | undefined {
  for (const target of targets) {
    if (target === null) return undefined;
    const path = resolved(target, star);
    if (path !== undefined) return path;
  }
  return undefined;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
