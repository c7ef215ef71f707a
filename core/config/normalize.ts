import type { Registry } from '../plugin/registry.ts';
import { expandAuth } from './auth-shorthand.ts';
import type { Environment } from './environment.ts';
import { fillFromEnvironment } from './environment-options.ts';
import type { Findings } from './findings.ts';
import { unifyPlacements } from './placements.ts';
import { addSearch, chooseLlms, selectExtensions } from './selection.ts';
import { type ConfigTree, isMap } from './tree.ts';

export interface NormalizeOptions {
  readonly registry: Registry;
  readonly environment: Environment;
  readonly findings: Findings;
  readonly secrets: Set<string>;
}

/**
 * Brings the ways in which a document may say a thing to the one that the schema knows, and says what it leaves unsaid.
 * Runs before validation, so nothing about the tree is certain; what has the wrong shape is left for the schema to report.
 */
export function normalize(tree: ConfigTree, options: NormalizeOptions): void {
  emptyForNothing(tree);
  unifyPlacements(tree, options.findings);
  const { root } = tree;
  for (const [section, name] of [
    ['llms', 'default'],
    ['agents', 'assistant'],
  ] as const) {
    if (!Object.hasOwn(root, section)) tree.set(root, section, {}, { implied: true });
    const entries = root[section];
    if (isMap(entries) && Object.keys(entries).length === 0) tree.set(entries, name, {}, { implied: true });
  }
  selectExtensions(tree, options);
  expandAuth(tree, options);
  addSearch(tree, options.registry);
  chooseLlms(tree, options.registry);
  fillFromEnvironment(tree, options);
}

/** `agents:` with nothing below it, or only comments, is a section that is not there; `assistant:` is one without keys. */
function emptyForNothing({ root }: ConfigTree): void {
  for (const [section, entries] of Object.entries(root)) {
    if (entries === null) delete root[section];
    else if (isMap(entries) && ['llms', 'agents', 'tools', 'document_stores'].includes(section)) {
      for (const [name, entry] of Object.entries(entries)) if (entry === null) entries[name] = {};
    }
  }
}
