import { createHash } from 'node:crypto';

const longest = 64;
const valid = /^[a-zA-Z0-9_-]{1,64}$/;

/**
 * Names that models accept, one for each tool of a server: what they do not accept becomes `_`, and a name that is too long
 * or that another tool has already ends in a hash, so that it is the same each time.
 */
export function namesFor(tools: readonly string[], prefix: string): ReadonlyMap<string, string> {
  const wanted = tools.map((tool) => ({ tool, name: `${prefix}${tool}` }));
  const taken = new Set(wanted.filter(({ name }) => valid.test(name)).map(({ name }) => name));
  const names = new Map<string, string>();
  for (const { tool, name } of wanted) {
    if (valid.test(name)) {
      names.set(tool, name);
      continue;
    }
    const readable = name.replace(/[^a-zA-Z0-9_-]/g, '_');
    let made = readable;
    for (let salt = 0; made.length > longest || taken.has(made); salt++) {
      made = `${readable.slice(0, longest - 9)}_${hash(salt === 0 ? name : `${name} ${salt}`)}`;
    }
    taken.add(made);
    names.set(tool, made);
  }
  return names;
}

const hash = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 8);
