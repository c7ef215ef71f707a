import { Composer, type Document, Lexer, Parser, type YAMLError } from 'yaml';
import type { ConfigIssue, ConfigPath } from './issue.ts';
import { jsonProblem } from './json-problem.ts';
import { type ConfigText, placeIn } from './text.ts';
import type { Origins } from './tree.ts';
import { LimitReached, maxDepth, type Read, TreeReader, tooDeep } from './tree-reader.ts';

export const maxTextBytes = 4 * 1024 * 1024;
const collections: ReadonlySet<string> = new Set(['block-map', 'block-seq', 'flow-collection']);

const advice: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'tabs cannot indent YAML; use spaces',
  BLOCK_AS_IMPLICIT_KEY: 'two keys on one line; put the value in quotes if it holds ": ", or start a new line',
  MULTILINE_IMPLICIT_KEY: 'a key is on one line and ends with ":"',
  MULTIPLE_DOCS: 'a second YAML document begins here; Hector reads one',
};

export interface ParseOptions {
  /** Where in the configuration the text belongs; by default it is the whole of it. */
  readonly path?: ConfigPath;
  /** Takes where each value is written. */
  readonly origins: Origins;
  /** `json` refuses what is not JSON. */
  readonly format?: ConfigFormat | undefined;
}

export type ConfigFormat = 'auto' | 'yaml' | 'json';

export interface Parsed extends Read {
  /** Everything that is wrong with the text; the value is worth nothing then. */
  readonly issues: readonly ConfigIssue[];
  /** How often it refers to one of its own anchors. */
  readonly aliases: number;
}

/** Text to plain values. Never throws for what is in the text, and never takes longer than the limits allow. */
export function parse(text: ConfigText, { path = [], origins, format }: ParseOptions): Parsed {
  const issues: ConfigIssue[] = [];
  const report = (offset: number, rule: string, message: string, at: ConfigPath = path) =>
    void issues.push({ path: at, message, rule, ...placeIn(text, offset) });
  const nothing = { value: {}, origin: { text, offset: 0 }, issues, aliases: 0 };
  const bytes = Buffer.byteLength(text.text);
  if (bytes > maxTextBytes) {
    const message = `the document has ${bytes} bytes; at most 4 MiB (${maxTextBytes}) are read`;
    report(0, 'limit', message);
    return nothing;
  }
  try {
    // Nothing is nothing in any format: a node that only holds others, a document that may be empty.
    const problem = format === 'json' && text.text.trim() !== '' ? jsonProblem(text.text) : undefined;
    if (problem) {
      report(problem.offset, 'syntax', problem.message);
      return nothing;
    }
    const document = compose(text.text, path.length);
    for (const problem of withoutSequels([...document.errors, ...document.warnings], text)) {
      report(problem.pos[0], 'syntax', explained(problem, text.text));
    }
    if (issues.length > 0) return nothing;
    const reader = new TreeReader({ text, path, origins, report });
    return { ...reader.read(document.contents), issues, aliases: reader.aliases };
  } catch (error) {
    if (!(error instanceof LimitReached)) throw error;
    report(error.offset, 'limit', error.message);
    return nothing;
  }
}

/** Where the parser loses the thread it finds fault with all that follows. The first of a line is about the mistake. */
function withoutSequels(problems: readonly YAMLError[], text: ConfigText): YAMLError[] {
  const lines = new Set<number | undefined>();
  return problems.filter((problem, index) => {
    const { line } = placeIn(text, problem.pos[0]);
    if (lines.has(line) || (index > 0 && problem.message.includes('token in YAML stream'))) return false;
    lines.add(line);
    return true;
  });
}

function explained({ code, pos, message }: YAMLError, text: string): string {
  if (text.startsWith('${', pos[0] - 1)) return 'inside of { } or [ ], a reference is put in quotes: "${VAR}"';
  return advice[code] ?? plainer(message);
}

function plainer(message: string): string {
  const quote = /^Missing closing (["'])quote$/.exec(message)?.[1];
  return quote ? `a closing ${quote} is missing` : message.charAt(0).toLowerCase() + message.slice(1);
}

function compose(text: string, depth: number): Document.Parsed {
  const composer = new Composer({ uniqueKeys: false, merge: true, resolveKnownTags: false, schema: 'core' });
  let document: Document.Parsed | undefined;
  for (const next of composer.compose(tokens(text, depth), true, text.length)) {
    if (document) {
      document.errors.push({
        code: 'MULTIPLE_DOCS',
        message: '',
        pos: [next.range[0], next.range[1]],
      } as (typeof document.errors)[number]);
      break;
    }
    document = next;
  }
  return document as Document.Parsed;
}

/**
 * What `Parser.parse` does, with a look at how deep it is after every lexeme. The parser keeps a stack of its own, but what
 * follows it recurses: twenty thousand brackets would cost most of a second and then the stack.
 */
function* tokens(text: string, depth: number) {
  const parser = new Parser();
  for (const lexeme of new Lexer().lex(text)) {
    yield* parser.next(lexeme);
    // On the stack are the document, the collections, and the scalar that is being read.
    const { length } = parser.stack;
    if (length + depth > maxDepth + 1 && collections.has(parser.stack[length - 1]?.type ?? '')) {
      throw new LimitReached(tooDeep, parser.offset - lexeme.length);
    }
  }
  yield* parser.end();
}
