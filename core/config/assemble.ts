import type { ConfigDocument } from '../extension/config-provider.ts';
import { type ConfigIssue, type ConfigPath, formatPlace } from './issue.ts';
import { type ConfigFormat, parse } from './parse.ts';
import { type ConfigText, type Place, placeIn } from './text.ts';
import {
  type ConfigMap,
  ConfigTree,
  type ConfigValue,
  type Container,
  get,
  isMap,
  type Origin,
  type Origins,
} from './tree.ts';
import { maxDepth, refusedKeys, tooDeep } from './tree-reader.ts';

const maxBytes = 64 * 1024 * 1024;

export interface AssembleOptions {
  /** The file that says where the document is; wins over it. */
  readonly local?: ConfigDocument | undefined;
  /** Of the document. */
  readonly format?: ConfigFormat | undefined;
}

export interface Assembled {
  readonly tree: ConfigTree;
  readonly texts: readonly ConfigText[];
  /** Everything that is wrong with the texts as such; the tree is worth nothing then. */
  readonly issues: readonly ConfigIssue[];
}

/** A text, and where in the configuration its value belongs. */
interface Piece {
  readonly text: ConfigText;
  readonly path: readonly string[];
}

/** One tree of all the texts that a configuration is made of. */
export function assemble(document: ConfigDocument, { local, format }: AssembleOptions = {}): Assembled {
  const assembly = new Assembly();
  const pieces = piecesOf(document);
  const bytes = document.entries ? sizeOf(document.entries) : 0;
  if (bytes > maxBytes) {
    const message = `the entries have ${bytes} bytes together; at most 64 MiB (${maxBytes}) are read`;
    return { tree: assembly.tree(), texts: [], issues: [{ path: [], message, rule: 'limit' }] };
  }
  for (const { text, path } of pieces) assembly.add(text, path, format);
  if (local || document.folder === undefined) assembly.refuseConfig(local);
  if (local) assembly.overlay(local, document.source.replace(/\/$/, ''));
  return { tree: assembly.tree(), texts: assembly.texts, issues: assembly.issues };
}

function sizeOf(entries: ReadonlyMap<string, string>): number {
  let bytes = 0;
  for (const [path, text] of entries) bytes += Buffer.byteLength(path) + Buffer.byteLength(text);
  return bytes;
}

/** Containers first, so that what lies in them finds them there. */
function piecesOf({ text, entries, source, folder }: ConfigDocument): Piece[] {
  const whole = (each: string): Piece => ({
    text: { source, text: each, folder, layer: 'document', whole: true },
    path: [],
  });
  if (!entries) return [whole(text)];
  const prefix = source.replace(/\/$/, '');
  return [...entries]
    .map(([path, each]): Piece => {
      if (path === '') return whole(each);
      const own = { source: `${prefix}/${path}`, text: each, folder, layer: 'document' as const, whole: false };
      return { text: own, path: path.split('/') };
    })
    .sort((a, b) => a.path.length - b.path.length || (a.text.source < b.text.source ? -1 : 1));
}

/** What a local file says when the configuration is somewhere else. */
const localSections: ReadonlySet<string> = new Set([
  'config',
  'version',
  'name',
  'description',
  'plugins',
  'server',
  'logger',
]);

class Assembly {
  readonly texts: ConfigText[] = [];
  readonly issues: ConfigIssue[] = [];
  readonly #root: ConfigMap = {};
  readonly #origins: Origins = new WeakMap([[this.#root, new Map<string | number, Origin>()]]);

  tree(): ConfigTree {
    return new ConfigTree(this.#root, this.#origins);
  }

  /** Puts what a text says where it belongs. */
  add(text: ConfigText, path: readonly string[], format: ConfigFormat | undefined): void {
    this.texts.push(text);
    const wrong = wrongPath(path);
    if (wrong) {
      this.#issue([], 'limit', wrong, placeIn(text, 0));
      return;
    }
    const { value, origin, issues } = parse(text, { path, origins: this.#origins, format });
    this.issues.push(...issues);
    if (issues.length > 0) return;
    const [key] = path.slice(-1);
    if (key === undefined) {
      this.#merge(this.#root, value as ConfigMap, []);
      return;
    }
    const container = this.#containerFor(path, text);
    if (container) this.#put(container, key, value, origin, path);
  }

  /** The sections that lead to an entry. */
  #containerFor(path: readonly string[], text: ConfigText): ConfigMap | undefined {
    let container = this.#root;
    for (const [index, step] of path.slice(0, -1).entries()) {
      let next = get(container, step) ?? null;
      if (next === null) {
        next = {};
        this.#set(container, step, next, { text, offset: 0 });
      }
      if (!isMap(next)) {
        this.#clash(path.slice(0, index + 1), this.#originOf(container, step), { text, offset: 0 });
        return undefined;
      }
      container = next;
    }
    return container;
  }

  #merge(into: ConfigMap, from: ConfigMap, path: ConfigPath): void {
    for (const [key, value] of Object.entries(from))
      this.#put(into, key, value, this.#originOf(from, key), [...path, key]);
  }

  /** What one entry says twice was found by its parser; what two entries say is found here. */
  #put(container: ConfigMap, key: string, value: ConfigValue, origin: Origin, path: ConfigPath): void {
    const other = get(container, key);
    if (other === undefined || other === null) this.#set(container, key, value, origin);
    else if (isMap(other) && isMap(value)) this.#merge(other, value, path);
    else if (value !== null) this.#clash(path, this.#originOf(container, key), origin);
  }

  #clash(path: ConfigPath, first: Origin, second: Origin): void {
    const place = first.text && { ...placeIn(first.text, first.offset ?? 0), source: first.text.source };
    const message = `is also given in ${place ? formatPlace('', place) : 'another entry'}; keep one of the two`;
    this.#issue(path, 'schema', message, second.text && placeIn(second.text, second.offset ?? 0));
  }

  /** Whatever the local file says wins: maps merge key by key, and everything else is replaced whole. */
  overlay(local: ConfigDocument, document: string): void {
    const { source, text, folder } = local;
    const own: ConfigText = { source, text, folder, layer: 'local', whole: false };
    this.texts.push(own);
    const { value, issues } = parse(own, { origins: this.#origins });
    this.issues.push(...issues);
    if (issues.length > 0) return;
    const sections = value as ConfigMap;
    for (const [section, each] of Object.entries(sections)) {
      if (localSections.has(section)) continue;
      delete sections[section];
      if (each === null) continue;
      const { offset = 0 } = this.#originOf(sections, section);
      const message = `is not read: the configuration is at ${document}; put it there`;
      this.#issue([section], 'schema', message, placeIn(own, offset));
    }
    // Each text says its own version of the language; that of the local file was checked with its block.
    if ((get(this.#root, 'version') ?? null) !== null) delete sections['version'];
    this.#override(this.#root, sections);
  }

  #override(container: ConfigMap, from: ConfigMap): void {
    for (const [key, value] of Object.entries(from)) {
      const other = get(container, key);
      if (isMap(other) && isMap(value)) this.#override(other, value);
      // A section with nothing in it says nothing.
      else if (value !== null || !isMap(other)) this.#set(container, key, value, this.#originOf(from, key));
    }
  }

  /** A document that is somewhere else does not say where that is. */
  refuseConfig(local: ConfigDocument | undefined): void {
    if ((get(this.#root, 'config') ?? null) === null) return;
    const { text, offset = 0 } = this.#originOf(this.#root, 'config');
    const file = local ? `the local file ${local.source}` : 'a local file';
    const message = `says where the configuration is, so it belongs in ${file}, not in the configuration itself`;
    this.#issue(['config'], 'schema', message, text && placeIn(text, offset));
    delete this.#root['config'];
  }

  #issue(path: ConfigPath, rule: string, message: string, place: Place | undefined): void {
    this.issues.push({ path, message, rule, ...place });
  }

  #originOf(container: Container, key: string): Origin {
    return this.#origins.get(container)?.get(key) ?? {};
  }

  #set(container: ConfigMap, key: string, value: ConfigValue, origin: Origin): void {
    container[key] = value;
    const origins = this.#origins.get(container) ?? new Map<string | number, Origin>();
    this.#origins.set(container, origins.set(key, origin));
  }
}

/** Entries are written by hand as well: a path is checked like the keys of a document. */
function wrongPath(path: readonly string[]): string | undefined {
  if (path.length > maxDepth) return tooDeep;
  if (path.length > 0 && path.includes('')) return `"${path.join('/')}" is no path: it has an empty name in it`;
  const refused = path.find((step) => refusedKeys.has(step));
  return refused === undefined ? undefined : `"${refused}" cannot be a key`;
}
