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
 * The agents are not in the tree; `asksForSearch`: one of them wants to search.
 */
export function normalize(tree: ConfigTree, options: NormalizeOptions & { readonly asksForSearch: boolean }): void {
  emptyForNothing(tree);
  unifyPlacements(tree, options.findings);
  const { root } = tree;
  for (const section of ['llms', 'agents'])
    if (!Object.hasOwn(root, section)) tree.set(root, section, {}, { implied: true });
  const { llms } = root;
  if (isMap(llms) && Object.keys(llms).length === 0) tree.set(llms, 'default', {}, { implied: true });
  selectExtensions(tree, options);
  expandAuth(tree, options);
  addSearch(tree, options);
  fillFromEnvironment(tree, options);
}

/** The same for a tree of agents alone. */
export function normalizeAgents(
  tree: ConfigTree,
  options: NormalizeOptions & { readonly llm: string | undefined },
): void {
  emptyForNothing(tree);
  selectExtensions(tree, options);
  if (options.llm !== undefined) chooseLlms(tree, options.registry, options.llm);
  fillFromEnvironment(tree, options);
}

/** `agents:` with nothing below it, or only comments, is a section that is not there; `assistant:` is one without keys. */
export function emptyForNothing({ root }: ConfigTree): void {
  for (const [section, entries] of Object.entries(root)) {
    if (entries === null) delete root[section];
    else if (isMap(entries) && ['llms', 'agents', 'tools', 'document_stores'].includes(section)) {
      for (const [name, entry] of Object.entries(entries)) if (entry === null) entries[name] = {};
    }
  }
}
