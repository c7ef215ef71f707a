import type { ConfigDocument } from '../extension/config-provider.ts';
import type { Pace } from '../pace.ts';
import { type AgentUnit, Indivisible, packedUnit, readUnit, TextUnit } from './agent-unit.ts';
import { type Assembled, type AssembleOptions, localText, type PlacedText, sizeIssue, textsOf } from './assemble.ts';
import { Assembly, wrongPath } from './assembly.ts';
import { maxTextBytes, type Parsed } from './parse.ts';
import { isLong, read } from './reading.ts';
import { type Cut, split } from './split.ts';
import { type ConfigText, detached } from './text.ts';
import { get, isMap } from './tree.ts';

type Units = Map<string, AgentUnit>;

interface Options extends AssembleOptions {
  readonly pace: Pace;
}

/** A configuration as far as it is about no agent, and what is to be read of its agents. */
export interface Parts extends Assembled {
  /** In the order of the document. Where there are any, the section in the tree is an empty map. */
  readonly agents: ReadonlyMap<string, AgentUnit>;
}

/** Reads everything but the agents. Throws `Indivisible` where that cannot be done, or does not go well. */
export async function partsOf(document: ConfigDocument, options: Options): Promise<Parts> {
  const texts = textsOf(document);
  const [first] = texts;
  const assembly = new Assembly();
  if (sizeIssue(document)) throw new Indivisible();
  const whole = texts.length === 1 && first?.path.length === 0 ? first.text : undefined;
  const agents = await (whole ? cutText(whole, assembly, options) : cutEntries(texts, assembly, options));
  const parts = await finish(document, texts, assembly, agents, options);
  if (parts.issues.length > 0) throw new Indivisible();
  return parts;
}

/** What can be known without the agents: what is wrong with them may stay unnoticed. */
export async function readParts(document: ConfigDocument, options: Options): Promise<Parts> {
  try {
    return await partsOf(document, options);
  } catch (error) {
    if (error instanceof Indivisible) return wholeOf(document, options);
    throw error;
  }
}

/** The same of a document that is read as a whole: all that is wrong with it is known then. */
export async function wholeOf(document: ConfigDocument, options: Options): Promise<Parts> {
  const assembly = new Assembly();
  const tooLarge = sizeIssue(document);
  if (tooLarge) return { tree: assembly.tree(), texts: [], issues: [tooLarge], agents: new Map() };
  const { pace, format } = options;
  const { origins } = assembly;
  const agents: Units = new Map();
  const texts = textsOf(document);
  for (const { text, path } of texts) {
    if (!assembly.admits(text, path)) continue;
    const alone = texts.length === 1 && path.length === 0;
    const takeAgent = alone
      ? (name: string, piece: Parameters<typeof packedUnit>[0]) => void agents.set(name, packedUnit(piece, text))
      : undefined;
    assembly.add(text, path, await read(text, { path, origins, format, pace, takeAgent }));
  }
  return finish(document, texts, assembly, agents, options);
}

async function cutText(text: ConfigText, assembly: Assembly, { format, pace }: Options): Promise<Units> {
  if (format === 'json' || Buffer.byteLength(text.text) > maxTextBytes) throw new Indivisible();
  const path = ['agents'];
  const cut = split(text.text, (own, before) => {
    if (isLong(own)) throw new Indivisible();
    return new TextUnit(own, before, text, path);
  });
  if (!cut) throw new Indivisible();
  const { origins } = assembly;
  const readPart = async ({ text: own, before }: Cut) => {
    const part = { ...text, text: detached(own), before };
    return [part, await read(part, { path: [], origins, format, pace })] as const;
  };
  const [head, tail] = [await readPart(cut.head), await readPart(cut.tail)];
  const twice = Object.keys(tail[1].value ?? {}).some((key) => get(head[1].value, key) !== undefined);
  if (![head[1], tail[1]].every(isPlain) || twice || get(head[1].value, 'agents') !== null) throw new Indivisible();
  for (const [part, parsed] of [head, tail]) assembly.add(part, [], parsed);
  assembly.root['agents'] = {};
  return cut.agents;
}

const isPlain = ({ issues, aliases }: Parsed) => issues.length === 0 && aliases === 0;

async function cutEntries(texts: readonly PlacedText[], assembly: Assembly, { format, pace }: Options): Promise<Units> {
  if (format === 'json') throw new Indivisible();
  const { origins } = assembly;
  const isAgents = ({ path }: PlacedText) => path[0] === 'agents' && path.length >= 2;
  const composed = new Set(texts.filter(({ path }) => path.length > 2).map(({ path }) => path[1]));
  const own: PlacedText[] = [];
  for (const each of texts) {
    const { text, path } = each;
    if (wrongPath(path)) throw new Indivisible();
    if (isAgents(each) && path.length === 2 && !composed.has(path[1]) && !isLong(text.text)) own.push(each);
    else assembly.add(text, path, await read(text, { path, origins, format, pace }));
  }
  const [first] = own;
  const section = first && assembly.section(first.path, first.text);
  if (first && !section) throw new Indivisible();
  const agents: Units = new Map();
  for (const { text, path } of own) {
    const [, name = ''] = path;
    if ((get(section, name) ?? null) !== null) throw new Indivisible();
    agents.set(name, new TextUnit(text.text, 0, text, path));
  }
  return agents;
}

/** Lays the local file over it, and takes the agents out that are in the tree. */
async function finish(
  document: ConfigDocument,
  texts: readonly PlacedText[],
  assembly: Assembly,
  units: Units,
  { local, pace }: Options,
): Promise<Parts> {
  const { origins, issues, root } = assembly;
  if (local || document.folder === undefined) assembly.refuseConfig(local);
  const own = local && localText(local);
  if (own) assembly.overlay(own, await read(own, { origins, pace }), document.source.replace(/\/$/, ''));
  const all = [...texts.map(({ text }) => text), ...(own ? [own] : [])];
  const section = root['agents'];
  if (!isMap(section)) return { tree: assembly.tree(), texts: all, issues, agents: new Map() };
  const here = Object.entries(section);
  const agents: Units = here.length === 0 ? units : new Map();
  for (const [name, value] of here) {
    const rest = pace.rest();
    if (rest) await rest;
    agents.set(name, readUnit(value, origins.get(section)?.get(name) ?? {}, origins));
  }
  if (agents !== units) for (const [name, unit] of units) agents.set(name, unit);
  root['agents'] = {};
  return { tree: assembly.tree(), texts: all, issues, agents };
}
