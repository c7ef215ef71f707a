import type { ChatMessage } from '../../../core/index.ts';
import mongodb from '../../../plugins/storage/mongodb.ts';
import { createInstance, extensionContext } from '../../support/extension.ts';

/** Appends without an end, three messages at a time, and prints the name of each append that was acknowledged. */
const [uri, name, contextId = ''] = process.argv.slice(2);
const backend = await createInstance<'storage'>(mongodb, { uri }, extensionContext<'storage'>());
const said = (text: string): ChatMessage => ({ role: 'user', parts: [{ type: 'text', text }] });
for (let turn = 0; ; turn++) {
  const texts = [1, 2, 3].map((part) => `${name}/${turn}/${part}`);
  await backend.sessions.append({ owner: 'ada', agent: 'writer', contextId }, texts.map(said));
  process.stdout.write(`${name}/${turn}\n`);
}
