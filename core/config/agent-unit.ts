import type { ConfigPath } from './issue.ts';
import { parse } from './parse.ts';
import { identityOf, type Piece, pack, unpack } from './pieces.ts';
import { type ConfigText, detached } from './text.ts';
import { type ConfigMap, type ConfigValue, copyOf, get, isMap, type Origin, type Origins } from './tree.ts';

/** What a document says of one agent, not read yet. */
export interface AgentUnit {
  /** Two units of one name and one identity say the same, wherever they stand. */
  readonly identity: string;
  /** Lines of its source that come before it, where it is whole lines. */
  readonly before?: number;
  /** Nobody wrote it. */
  readonly unwritten?: boolean;
  /** Throws `Indivisible` where it cannot be understood without the rest of the document. */
  read(): AgentReading;
}

export interface AgentReading {
  /** Absent: nobody wrote it. */
  readonly value?: ConfigValue;
  readonly origin: Origin;
  readonly origins: Origins;
}

/** The document means something else, or nothing, when it is read in parts. */
export class Indivisible extends Error {}

/** An agent that follows from the rest of the configuration, or from a flag. */
export const unwritten = (origin?: Origin): AgentUnit => ({
  identity: origin ? 'implied' : 'flag',
  unwritten: true,
  read: () => ({ ...(origin && { value: {} }), origin: origin ?? {}, origins: new WeakMap() }),
});

/** An agent that is written in lines of its own. There may be ten thousand, so each is no more than it must be. */
export class TextUnit implements AgentUnit {
  readonly identity: string;
  readonly before: number;
  readonly #source: ConfigText;
  readonly #path: ConfigPath;

  /** `text`: the part of `source` after `before` lines of it, that which stands at `path` in the configuration. */
  constructor(text: string, before: number, source: ConfigText, path: ConfigPath) {
    this.identity = text;
    this.before = before;
    this.#source = source;
    this.#path = path;
  }

  read(): AgentReading {
    const origins: Origins = new WeakMap();
    const text = { ...this.#source, text: detached(this.identity), before: this.before };
    const { value, origin, issues, aliases } = parse(text, { path: this.#path, origins });
    if (issues.length > 0 || aliases > 0) throw new Indivisible();
    if (this.#path.length > 1) return { value, origin, origins };
    // With its name: it is cut out of the section.
    const [name, ...others] = isMap(value) ? Object.keys(value) : [];
    if (name === undefined || others.length > 0) throw new Indivisible();
    const own = origins.get(value as ConfigMap)?.get(name) ?? {};
    return { value: get(value, name) as ConfigValue, origin: own, origins };
  }
}

/** An agent of a text that was read as a whole. */
export function packedUnit({ offset, source, packed = 'null' }: Omit<Piece, 'path'>, text: ConfigText): AgentUnit {
  const origin: Origin = source === undefined ? { text, offset } : { text, offset, source };
  return {
    identity: identityOf(packed),
    read() {
      const origins: Origins = new WeakMap();
      return { value: unpack(packed, { text, offset, origins }), origin, origins };
    },
  };
}

/** An agent that is read already, of one text or of several. */
export function readUnit(value: ConfigValue, origin: Origin, origins: Origins): AgentUnit {
  return {
    identity: identityOf(pack(value, origins, 0)),
    read() {
      const own: Origins = new WeakMap();
      return { value: copyOf(value, origins, own), origin, origins: own };
    },
  };
}
