import { createInterface } from 'node:readline/promises';
import { closest } from '../../../core/config/suggestion.ts';
import { type Choice, choiceOf, type Provider } from './providers.ts';

/** Asks at the terminal which provider and model it is to be; `undefined` when the person leaves. */
export async function askFor(
  all: readonly Provider[],
  likely: Provider,
  model: string | undefined,
): Promise<Choice | undefined> {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  const left = new AbortController();
  lines.once('close', () => left.abort());
  const ask = async (question: string) => (await lines.question(question, { signal: left.signal })).trim();
  const names = all.map(({ name }) => name);
  try {
    let provider: Provider | undefined;
    while (!provider) {
      const wanted = (await ask(`Provider (${names.join(', ')}) [${likely.name}]: `)) || likely.name;
      provider = all.find(({ name }) => name === wanted.toLowerCase());
      const hint = closest(wanted, names);
      if (!provider)
        process.stdout.write(`That is none of them.${hint === undefined ? '' : ` Did you mean ${hint}?`}\n`);
    }
    if (model !== undefined) return choiceOf(provider, model);
    return choiceOf(provider, (await ask(`Model [${provider.model}]: `)) || undefined);
  } catch (error) {
    if (left.signal.aborted) return undefined;
    throw error;
  } finally {
    lines.close();
  }
}
