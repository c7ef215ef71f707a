import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * An agent that writes to `members.log` what becomes of it, and that a test can make wait for a file or for its caller:
 * it answers `TAG heard WORDS`.
 */
const options = {
  type: 'object',
  properties: {
    tag: { type: 'string', default: 'member' },
    waits: { type: 'string', description: 'The file that it waits for' },
    asks: { type: 'string', description: 'What it asks before it answers' },
    fails: { type: 'string', description: 'Why it fails' },
  },
};

export default {
  apiVersion: 1,
  name: 'test/member',
  provides: [{ point: 'agent', name: 'member', description: 'Does as it is told', options, create }],
};

function create({ tag, waits, asks, fails }, { name, folder }) {
  const log = (what) => appendFileSync(join(folder, 'members.log'), `${what} ${name} ${tag}\n`);
  return {
    async *run(message, { signal, task }) {
      log('begun');
      while (waits !== undefined && !existsSync(join(folder, waits))) {
        await sleep(10, undefined, { signal }).catch(() => {
          log('aborted');
          signal.throwIfAborted();
        });
      }
      if (fails !== undefined) throw new Error(fails);
      if (asks !== undefined && task.history.at(-2)?.role !== 'ROLE_AGENT') {
        log('asked');
        yield { type: 'input_required', parts: [{ text: asks }] };
        return;
      }
      const words = message.parts.map((part) => part.text ?? '').join(' / ');
      yield { type: 'text', delta: `${tag} heard ${words}` };
      log('ended');
    },
  };
}
