import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { deserializeMessage, type JSONRPCMessage, type Transport } from '@modelcontextprotocol/client';
import { getDefaultEnvironment } from '@modelcontextprotocol/client/stdio';
import type { Logger } from '../../../core/index.ts';
import { maxMessageBytes } from './limits.ts';
import { LineBuffer } from './line-buffer.ts';
import { endGroup, signalGroup } from './process-group.ts';
import type { ProcessTarget } from './target.ts';

/** How long a server may take to end once its input is closed, and again once it is asked to. */
const graceMs = 2_000;
const maxLogLine = 1_000;

/**
 * A server that is a process, spoken to over its standard input and output.
 *
 * Unlike the SDK's, it starts a process group of its own and ends all of it: what a server has started (npx starts a
 * shell that starts node) ends with it, and a Ctrl-C in Hector's terminal is not also the server's.
 */
export class ProcessTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  /** Why there is no connection any more, once there is none. */
  reason = 'its process was ended';

  readonly #target: ProcessTarget;
  readonly #logger: Logger;
  readonly #lines = new LineBuffer(maxMessageBytes);
  #child: ChildProcessWithoutNullStreams | undefined;
  #over = false;
  #ending: Promise<void> | undefined;

  constructor(target: ProcessTarget, logger: Logger) {
    this.#target = target;
    this.#logger = logger;
  }

  async start(): Promise<void> {
    const { command, args, env, folder } = this.#target;
    const child = spawn(command, args, {
      cwd: folder,
      env: { ...getDefaultEnvironment(), ...env },
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child = child;
    // Before it has been started, an error is that it cannot be. Where the system has run out, there are not even streams.
    const started = once(child, 'spawn');
    if (child.pid === undefined) return void (await started);
    child.on('error', (error) => this.onerror?.(error));
    child.stdout.on('data', (chunk: Buffer) => this.#receive(chunk));
    // A broken pipe is told by the end of the process, which comes with it.
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on('error', () => {});
    this.#log(child);
    child.once('exit', (code, signal) => {
      if (!this.#over)
        this.reason = signal ? `its process was ended by ${signal}` : `its process ended with code ${code}`;
      void this.#end(child);
    });
    await started;
  }

  async send(message: JSONRPCMessage): Promise<void> {
    const { stdin } = this.#child ?? {};
    if (this.#over || !stdin?.writable) throw new Error(this.reason);
    if (stdin.writableLength > maxMessageBytes) throw new Error('it does not read what is sent to it');
    stdin.write(`${JSON.stringify(message)}\n`);
  }

  /** Returns when no process of the server is left. */
  async close(): Promise<void> {
    this.#finish();
    const child = this.#child;
    if (!child?.pid) return;
    if (!this.#ending) {
      child.stdin.end();
      const exited = new AbortController();
      child.once('exit', () => exited.abort());
      await sleep(graceMs, undefined, { signal: exited.signal }).catch(() => {});
    }
    await this.#end(child);
  }

  /** The rest of the group, whatever became of its leader. */
  #end(child: ChildProcessWithoutNullStreams): Promise<void> {
    this.#ending ??= (async () => {
      const { pid } = child;
      if (pid === undefined) return;
      const closed = new AbortController();
      child.once('close', () => closed.abort());
      await endGroup(pid, graceMs);
      // What it wrote last is still to be read; a process outside of the group may hold the other end for ever.
      await sleep(graceMs, undefined, { signal: closed.signal }).catch(() => {});
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
      this.#finish();
    })();
    return this.#ending;
  }

  #receive(chunk: Buffer): void {
    try {
      for (const line of this.#lines.add(chunk)) if (!this.#over && line.trim() !== '') this.#read(line);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.reason = `it sent a message of more than ${maxMessageBytes} bytes`;
      const { pid } = this.#child ?? {};
      this.#finish();
      if (pid !== undefined) signalGroup(pid, 'SIGTERM');
      void this.close();
    }
  }

  /** What is no message is a print statement that was forgotten: many servers have one. */
  #read(line: string): void {
    let message: JSONRPCMessage;
    try {
      message = deserializeMessage(line);
    } catch {
      this.#logger.debug({ line: line.slice(0, maxLogLine) }, 'an MCP server wrote what is no message');
      return;
    }
    this.onmessage?.(message);
  }

  #log({ stderr }: ChildProcessWithoutNullStreams): void {
    let open = '';
    stderr.setEncoding('utf8').on('data', (text: string) => {
      const lines = (open + text).split('\n');
      open = (lines.pop() ?? '').slice(0, maxLogLine);
      for (const line of lines) {
        if (line.trim() !== '')
          this.#logger.debug({ line: line.slice(0, maxLogLine) }, 'an MCP server wrote to its log');
      }
    });
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.onclose?.();
  }
}
