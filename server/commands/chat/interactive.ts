import { HectorError } from '../../../core/errors.ts';
import { oneLine } from '../remote/text.ts';
import type { Conversation } from './conversation.ts';
import { type ListenerOptions, listen } from './listener.ts';
import { outcomeText } from './outcome-text.ts';
import { Prompt } from './prompt.ts';

export interface InteractiveOptions extends ListenerOptions {
  readonly conversation: Conversation;
  readonly terminal: { readonly input: NodeJS.ReadStream; readonly output: NodeJS.WriteStream };
  /** The names of all agents of the server; `undefined` where it does not tell. */
  names(): Promise<readonly string[] | undefined>;
}

const help = `/new      begin another conversation
/cancel   cancel the task that waits for your answer
/agents   list the agents of the server
/quit     leave; so do Ctrl-D, and Ctrl-C at the prompt
Ctrl-C while an answer comes cancels its task. A line that ends with \\ goes on in the next one.
A message that begins with / is sent with a second one in front: //…`;

/** Talks with a person at a terminal until that person leaves. */
export async function interactive(options: InteractiveOptions): Promise<number> {
  const { conversation, screen, terminal } = options;
  const { agent } = conversation;
  let left: number | undefined;
  let asking = false;
  const leave = (code: number) => {
    left ??= code;
    conversation.leave();
    prompt.close();
  };
  const interrupt = () => {
    if (asking) return leave(0);
    prompt.forget();
    if (conversation.cancel()) void screen.note('· canceling (once more leaves)');
    else leave(130);
  };
  using prompt = new Prompt({ ...terminal, onInterrupt: interrupt });
  // From elsewhere: a terminal in raw mode sends none.
  const ends = [
    ['SIGINT', interrupt],
    ['SIGTERM', () => leave(143)],
    ['SIGHUP', () => leave(129)],
  ] as const;
  for (const [signal, listener] of ends) process.on(signal, listener);
  const ask = async (text: string) => {
    asking = true;
    try {
      return await prompt.ask(text);
    } finally {
      asking = false;
    }
  };

  /** A message, which may go over several lines. */
  const read = async (): Promise<string | undefined> => {
    let line = await ask(conversation.waiting === undefined ? '> ' : '? ');
    const lines: string[] = [];
    while (line?.endsWith('\\')) {
      lines.push(line.slice(0, -1));
      line = await ask('… ');
    }
    return line === undefined ? undefined : [...lines, line].join('\n');
  };
  const say = async (text: string) => {
    const outcome = await conversation.say(text, listen(options));
    await screen.endLine();
    const said = outcomeText(agent.title, outcome);
    if (said !== undefined) await screen.line(said);
    if (outcome.state === 'auth-required') await screen.note('· send a line when you have logged in');
  };
  const cancel = async () => {
    const { waiting } = conversation;
    if (waiting === undefined) return screen.line('No task waits for an answer.');
    await agent.cancel(waiting, AbortSignal.timeout(cancelMs));
    conversation.reset();
    await screen.line('Canceled.');
  };
  const list = async () => {
    const names = await options.names();
    if (!names) return screen.line(`The server of ${oneLine(agent.name)} does not tell what agents it has.`);
    for (const name of names) await screen.line(`${name === agent.name ? '*' : ' '} ${oneLine(name)}`);
    await screen.note('  another one: leave, and start again with its name (--agent NAME with an address)');
  };
  const command = async (line: string): Promise<void> => {
    switch (line.trim()) {
      case '/help':
        return screen.line(help);
      case '/new':
        conversation.reset();
        return screen.note('· another conversation');
      case '/cancel':
        return cancel();
      case '/agents':
        return list();
      case '/quit':
      case '/exit':
        return leave(0);
      default:
        return screen.line(`There is no command ${oneLine(line, 40)}. /help lists them; a message begins with //.`);
    }
  };

  try {
    await screen.line(
      `${oneLine(agent.title)} at ${oneLine(agent.url, 300)} (A2A ${agent.version}). /help says what is possible, Ctrl-D leaves.`,
    );
    while (left === undefined) {
      const text = await read();
      if (text === undefined) break;
      if (text.trim() === '') continue;
      try {
        if (text.startsWith('/') && !text.startsWith('//')) await command(text);
        else await say(text.replace(/^\/\//, '/'));
      } catch (error) {
        if (!(error instanceof HectorError)) throw error;
        await screen.endLine();
        await screen.line(`error: ${error.message}`);
      }
    }
    return left ?? 0;
  } finally {
    for (const [signal, listener] of ends) process.off(signal, listener);
  }
}

const cancelMs = 10_000;
