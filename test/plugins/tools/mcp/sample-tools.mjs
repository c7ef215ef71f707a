import { spawn } from 'node:child_process';

/** What the tools of a server under test are called. */
const basic = [
  'echo',
  'fail',
  'media',
  'structured',
  'slow',
  'endless',
  'identity',
  'meta',
  'child',
  'change',
  'die',
  'garbage',
];
const schema = {
  type: 'object',
  properties: { text: { type: 'string' } },
};
const annotations = {
  echo: { readOnlyHint: true },
  structured: { readOnlyHint: false, idempotentHint: true },
  fail: { readOnlyHint: 'true', destructiveHint: false },
};

/**
 * The tools of every server under test, whatever library and transport serves them.
 *
 * `register(method, handler)` is what the library has for it; the handler gets the parameters and what it may do:
 * `notify(method, params)`, `signal`. `seen` is where it is told what a test wants to know.
 */
export function sampleTools(register, { many = 0, seen = {}, listChanged = () => {}, session = '' } = {}) {
  const names = many > 0 ? Array.from({ length: many }, (_, index) => `tool-${index}`) : [...basic, 'odd.näme'];
  seen.lists ??= 0;
  seen.cancelled ??= [];

  register('tools/list', ({ cursor }) => {
    seen.lists++;
    const start = cursor === undefined ? 0 : Number(cursor);
    const page = names.slice(start, start + 100);
    const tools = page.map((name) => ({
      name,
      description: `does ${name}`,
      inputSchema: schema,
      ...(annotations[name] && { annotations: annotations[name] }),
    }));
    return { tools, ...(start + 100 < names.length && { nextCursor: String(start + 100) }) };
  });

  register('tools/call', async ({ name, arguments: args = {}, _meta }, { notify, signal }) => {
    const text = (value) => ({ content: [{ type: 'text', text: String(value) }] });
    switch (name) {
      case 'echo':
        return text(args.text);
      case 'fail':
        return { isError: true, content: [{ type: 'text', text: `no such thing: ${args.text}` }] };
      case 'media':
        return {
          content: [
            { type: 'text', text: 'look' },
            { type: 'image', data: Buffer.from('image').toString('base64'), mimeType: 'image/png' },
            { type: 'audio', data: Buffer.from('audio').toString('base64'), mimeType: 'audio/wav' },
            { type: 'resource', resource: { uri: 'file:///a/b.txt', text: 'inside' } },
            {
              type: 'resource',
              resource: { uri: 'file:///a/b.bin?x', blob: Buffer.from('blob').toString('base64'), mimeType: 'x/y' },
            },
            { type: 'resource_link', uri: 'https://example.com/doc', name: 'doc', description: 'a document' },
          ],
        };
      case 'structured':
        return { content: [], structuredContent: { answer: 42 } };
      case 'slow': {
        const steps = args.steps ?? 3;
        for (let step = 1; step <= steps; step++) {
          await new Promise((resolve) => setTimeout(resolve, args.ms ?? 20));
          await notify('notifications/progress', {
            progressToken: _meta?.progressToken,
            progress: step,
            total: steps,
            message: `step ${step}`,
          });
        }
        return text('done');
      }
      case 'endless':
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        seen.cancelled.push(args.text ?? 'endless');
        return text('cancelled');
      case 'identity':
        return text(JSON.stringify({ pid: process.pid, session }));
      case 'meta':
        return text(JSON.stringify(_meta));
      case 'child': {
        const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
        return text(child.pid);
      }
      case 'change':
        names.push(String(args.text));
        await listChanged();
        return text('changed');
      case 'cancelled':
        return text(JSON.stringify(seen.cancelled));
      case 'die':
        process.kill(process.pid, 'SIGKILL');
        return new Promise(() => {});
      case 'garbage':
        process.stdout.write('Hello, I am a print statement\n{"json": "but no message"}\n\n{not json\n');
        return text('said');
      default:
        return text(`${name} was called`);
    }
  });
}
