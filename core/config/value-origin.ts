import { type ConfigPath, formatPlace } from './issue.ts';
import type { ConfigTree } from './tree.ts';

/** Who says what a value is: the one of these that is asked first and has an answer. */
export interface ValueOrigin {
  /** `implied`: it follows from the rest of the configuration. */
  readonly from: 'flag' | 'environment' | 'local' | 'document' | 'default' | 'implied';
  /** `--port`, `OPENAI_API_KEY`, `config.yaml:3:5`; absent where nobody wrote it. */
  readonly where?: string;
  /** What is written there in place of the value: `${OPENAI_API_KEY}`. */
  readonly reference?: string;
}

export function valueOrigin(tree: ConfigTree, path: ConfigPath, document: string): ValueOrigin {
  const origin = tree.originAt(path);
  if (!origin) return { from: 'default' };
  const { flag, text, reference, implied } = origin;
  const written = reference === undefined ? {} : { reference };
  if (flag !== undefined) return { from: flag.startsWith('-') ? 'flag' : 'environment', where: flag };
  if (implied && reference !== undefined)
    return { from: 'environment', where: /^\$\{(.*)\}$/s.exec(reference)?.[1] ?? reference, reference };
  if (implied) return { from: 'implied' };
  if (!text) return { from: 'default', ...written };
  return { from: text.layer, where: formatPlace(document, tree.locate(path)), ...written };
}
