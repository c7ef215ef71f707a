import { isDeepStrictEqual } from 'node:util';
import { findReferences } from '../plugin/reference.ts';
import { formatPath } from './issue.ts';
import type { HectorConfig } from './language/hector.ts';
import type { Snapshot } from './snapshot.ts';
import { isMap } from './tree.ts';

/** The sections whose entries have names of their own. */
export const namedSections = ['agents', 'llms', 'tools', 'document_stores', 'databases'] as const;
export type NamedSection = (typeof namedSections)[number];

export interface ChangedEntry {
  readonly name: string;
  /** Below the entry: `instruction`, `source.path`. */
  readonly keys: readonly string[];
}

export interface SectionPlan {
  readonly added: readonly string[];
  readonly changed: readonly ChangedEntry[];
  readonly removed: readonly string[];
}

/** What a change of the configuration comes to. Names and keys only: no value, and so no secret, is in it. */
export interface ConfigPlan {
  /** Those in which something changes. */
  readonly sections: Readonly<Partial<Record<NamedSection, SectionPlan>>>;
  /** Everywhere else: `server.port`. */
  readonly settings: readonly string[];
  /** Agents that stay as they are written and are made anew, because of what they use: `llms.default`. */
  readonly affected: readonly { readonly agent: string; readonly through: readonly string[] }[];
  /** Settings that take effect when Hector is started anew. */
  readonly restart_required: readonly string[];
}

/** From one configuration to another; without the first, everything is new. */
export function planOf(before: Snapshot | undefined, after: Snapshot): ConfigPlan {
  const sections: Partial<Record<NamedSection, SectionPlan>> = {};
  const changed = new Set<string>();
  for (const section of namedSections) {
    const plan = sectionPlan(section, before, after);
    const names = [...plan.added, ...plan.changed.map(({ name }) => name), ...plan.removed];
    for (const name of names) changed.add(`${section}.${name}`);
    if (names.length > 0) sections[section] = plan;
  }
  return {
    sections,
    settings: before ? settingsChanged(before, after) : [],
    affected: before ? affectedAgents(before, after, changed) : [],
    restart_required: before ? restartRequired(before.config, after.config) : [],
  };
}

/** Whether the texts say the same, however they say it. */
export function isEmptyPlan({ sections, settings }: ConfigPlan): boolean {
  return settings.length === 0 && Object.keys(sections).length === 0;
}

/** What is read once, when the socket and the log are opened. */
const atStart = [
  ['config'],
  ['server', 'host'],
  ['server', 'port'],
  ['server', 'admin'],
  ['server', 'timeouts'],
  ['server', 'limits', 'max_connections'],
  ['observability'],
  ['logger', 'format'],
  ['logger', 'file'],
] as const;

/** The settings that differ and take effect when Hector is started anew: `server.port`. */
export function restartRequired(before: HectorConfig, after: HectorConfig): string[] {
  return atStart.flatMap((path) =>
    changedPaths(at(before, path), at(after, path)).map((below) => formatPath([...path, ...below])),
  );
}

function sectionPlan(section: NamedSection, before: Snapshot | undefined, after: Snapshot): SectionPlan {
  const [old, now] = [before?.config[section] ?? {}, after.config[section]];
  const names = Object.keys(now);
  const changed = before
    ? names
        .filter((name) => Object.hasOwn(old, name))
        .map((name) => ({ name, keys: differences(before, after, [section, name]) }))
        .filter(({ keys }) => keys.length > 0)
    : [];
  return {
    added: names.filter((name) => !Object.hasOwn(old, name)),
    changed,
    removed: Object.keys(old).filter((name) => !Object.hasOwn(now, name)),
  };
}

function settingsChanged(before: Snapshot, after: Snapshot): string[] {
  const sections = new Set([...Object.keys(before.config), ...Object.keys(after.config)]);
  for (const section of namedSections) sections.delete(section);
  return [...sections].flatMap((section) =>
    differences(before, after, [section]).map((keys) => (keys === '' ? section : `${section}.${keys}`)),
  );
}

/**
 * Of the values as they are here, and of how they are written: another reference is a change even where it stands for the
 * same, for on another machine it need not.
 */
function differences(before: Snapshot, after: Snapshot, path: readonly string[]): string[] {
  const paths = [
    ...changedPaths(at(before.config, path), at(after.config, path)),
    ...changedPaths(at(before.printable, path), at(after.printable, path)),
  ];
  return [...new Set(paths.map((each) => formatPath(each)))];
}

/** Maps are gone into, anything else is one value. */
function changedPaths(before: unknown, after: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isMap(before) || !isMap(after)) return [path];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => changedPaths(at(before, [key]), at(after, [key]), [...path, key]));
}

function at(value: unknown, path: readonly string[]): unknown {
  let found: unknown = value;
  for (const key of path) found = isMap(found) && Object.hasOwn(found, key) ? found[key] : undefined;
  return found;
}

function affectedAgents(before: Snapshot, after: Snapshot, changed: ReadonlySet<string>) {
  const [old, now] = [usesOf(before), usesOf(after)];
  const reasons = new Map<string, ReadonlySet<string>>();
  /** What has changed among everything that an agent uses, at any distance. Cycles are refused by validation. */
  const reasonsOf = (agent: string): ReadonlySet<string> => {
    const known = reasons.get(agent);
    if (known) return known;
    const found = new Set<string>();
    reasons.set(agent, found);
    for (const used of new Set([...(old.get(agent) ?? []), ...(now.get(agent) ?? [])])) {
      if (changed.has(used)) found.add(used);
      if (used.startsWith('agents.')) for (const each of reasonsOf(used.slice('agents.'.length))) found.add(each);
    }
    return found;
  };
  return Object.keys(after.config.agents)
    .filter((agent) => !changed.has(`agents.${agent}`))
    .map((agent) => ({ agent, through: [...reasonsOf(agent)].sort() }))
    .filter(({ through }) => through.length > 0);
}

/** By agent: `llms.default`. */
function usesOf({ config, registry }: Snapshot): ReadonlyMap<string, readonly string[]> {
  const uses = new Map<string, readonly string[]>();
  const every = (section: NamedSection) =>
    Object.entries(config[section])
      .filter(([, entry]) => (entry as { enabled?: unknown }).enabled !== false)
      .map(([entry]) => `${section}.${entry}`);
  for (const [name, agent] of Object.entries(config.agents)) {
    const kind = registry.find('agent', agent.type);
    if (!kind || !agent.enabled) continue;
    const { names, all } = findReferences(kind.extension.options, agent);
    const named = names.flatMap(({ target, name: used }) =>
      // What is no entry of `tools` is a single tool of one of them, and only they know of which.
      target === 'tool' && !Object.hasOwn(config.tools, used) ? every('tools') : [`${target}s.${used}`],
    );
    uses.set(name, [...named, ...[...all].flatMap((target) => every(`${target}s`))]);
  }
  return uses;
}
