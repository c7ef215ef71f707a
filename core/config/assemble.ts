import type { ConfigDocument } from '../extension/config-provider.ts';
import { Assembly } from './assembly.ts';
import type { ConfigIssue } from './issue.ts';
import { type ConfigFormat, parse } from './parse.ts';
import type { ConfigText } from './text.ts';
import type { ConfigTree } from './tree.ts';

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
export interface PlacedText {
  readonly text: ConfigText;
  readonly path: readonly string[];
}

/** One tree of all the texts that a configuration is made of, at once: for what is known to be small. */
export function assemble(document: ConfigDocument, { local, format }: AssembleOptions = {}): Assembled {
  const assembly = new Assembly();
  const { origins } = assembly;
  const tooLarge = sizeIssue(document);
  if (tooLarge) return { tree: assembly.tree(), texts: [], issues: [tooLarge] };
  const texts = textsOf(document);
  for (const { text, path } of texts)
    if (assembly.admits(text, path)) assembly.add(text, path, parse(text, { path, origins, format }));
  if (local || document.folder === undefined) assembly.refuseConfig(local);
  const own = local && localText(local);
  if (own) assembly.overlay(own, parse(own, { origins }), document.source.replace(/\/$/, ''));
  return {
    tree: assembly.tree(),
    texts: [...texts.map(({ text }) => text), ...(own ? [own] : [])],
    issues: assembly.issues,
  };
}

export function sizeIssue({ entries }: ConfigDocument): ConfigIssue | undefined {
  let bytes = 0;
  for (const [path, text] of entries ?? []) bytes += Buffer.byteLength(path) + Buffer.byteLength(text);
  const message = `the entries have ${bytes} bytes together; at most 64 MiB (${maxBytes}) are read`;
  return bytes > maxBytes ? { path: [], message, rule: 'limit' } : undefined;
}

export function localText({ source, text, folder }: ConfigDocument): ConfigText {
  return { source, text, folder, layer: 'local', whole: false };
}

/** Containers first, so that what lies in them finds them there. */
export function textsOf({ text, entries, source, folder }: ConfigDocument): PlacedText[] {
  const whole = (each: string): PlacedText => ({
    text: { source, text: each, folder, layer: 'document', whole: true },
    path: [],
  });
  if (!entries) return [whole(text)];
  const prefix = source.replace(/\/$/, '');
  return [...entries]
    .map(([path, each]): PlacedText => {
      if (path === '') return whole(each);
      const own = { source: `${prefix}/${path}`, text: each, folder, layer: 'document' as const, whole: false };
      return { text: own, path: path.split('/') };
    })
    .sort((a, b) => a.path.length - b.path.length || (a.text.source < b.text.source ? -1 : 1));
}
