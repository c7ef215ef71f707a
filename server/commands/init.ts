import { join } from 'node:path';
import { readEnvironment } from '../../core/config/environment.ts';
import { closest, listed } from '../../core/config/suggestion.ts';
import { configText, environmentText, ignoredLines } from './init/content.ts';
import { type Choice, choiceOf, providers, supplied } from './init/providers.ts';
import { askFor } from './init/questions.ts';
import { missing, writeNew } from './init/write-new.ts';
import type { Output } from './output.ts';
import { UsageError } from './usage-error.ts';

export interface InitFlags {
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly provider?: string;
  readonly model?: string;
}

/** Writes what a newcomer starts from. Asks on a terminal; otherwise the environment says which provider there is a key for. */
export async function initCommand(folder: string, flags: InitFlags): Promise<Output> {
  const environment = readEnvironment({ folder });
  const all = providers(environment);
  const likely = supplied(all, environment);
  let choice: Choice;
  if (flags.provider !== undefined) {
    const provider = all.find(({ name }) => name === flags.provider);
    const names = all.map(({ name }) => name);
    if (!provider) {
      const hint = closest(flags.provider, names);
      throw new UsageError(
        `No provider is named "${flags.provider}" ${listed('there are', names)}.${hint === undefined ? '' : ` Did you mean "${hint}"?`}`,
      );
    }
    choice = choiceOf(provider, flags.model);
  } else if (!flags.yes && process.stdin.isTTY) {
    const asked = await askFor(all, likely, flags.model);
    if (!asked) return { code: 130, stderr: '\nNothing is written.\n' };
    choice = asked;
  } else {
    choice = choiceOf(likely, flags.model);
  }

  const missed = missing(folder, ignoredLines);
  await writeNew(
    folder,
    {
      'config.yaml': configText(choice),
      '.env.example': environmentText(all),
      // One that is there belongs to whoever wrote it.
      ...(missed === undefined && { '.gitignore': ignoredLines.map((line) => `${line}\n`).join('') }),
    },
    { force: flags.force === true },
  );
  const { keyVariable } = choice.provider;
  const needsKey = keyVariable !== undefined && !environment.get(keyVariable);
  const config = join(folder, 'config.yaml');
  const steps = [
    ...(needsKey
      ? [`cp ${join(folder, '.env.example')} ${join(folder, '.env')}   # and put ${keyVariable} into it`]
      : []),
    `hector chat --config ${config}`,
    `hector serve --config ${config}`,
  ];
  const reminder =
    missed && missed.length > 0
      ? `${join(folder, '.gitignore')} is left as it is: add to it ${missed.map((line) => `a line "${line}"`).join(' and ')}.\n`
      : '';
  return {
    code: 0,
    stdout: `Written to ${folder === '.' ? 'this folder' : folder}, for ${choice.provider.name} (${choice.model}): config.yaml, .env.example${missed === undefined ? ', .gitignore' : ''}.\n\nNext:\n\n${steps.map((step) => `  ${step}\n`).join('')}`,
    stderr: reminder,
  };
}
