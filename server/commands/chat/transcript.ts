import type { Part } from '../../../core/a2a.ts';
import { oneLine } from '../remote/text.ts';
import { stateIn, textOf, type WireArtifact, type WireEvent, type WireStatus } from '../remote/wire.ts';
import { describePart, toolLine } from './parts.ts';
import type { SavedFiles } from './saved-files.ts';
import type { Screen } from './screen.ts';

export interface TranscriptOptions {
  readonly screen: Screen;
  readonly files?: SavedFiles | undefined;
}

interface Shown {
  text: string;
  /** Parts that are no text. */
  others: number;
}

/** Of an answer that is longer, what follows is shown as it comes, also where a server says something twice. */
const maxRemembered = 1_000_000;
const maxArtifacts = 1_000;

/**
 * Shows one answer. A server may say the same several times: in pieces and in the task as a whole, as an artifact and in
 * the last status, and once more after a broken connection. It is shown once.
 */
export class Transcript {
  readonly #screen: Screen;
  readonly #files: SavedFiles | undefined;
  readonly #artifacts = new Map<string, Shown>();
  #status: string | undefined;

  constructor({ screen, files }: TranscriptOptions) {
    this.#screen = screen;
    this.#files = files;
  }

  async show(event: WireEvent): Promise<void> {
    const { task, message, statusUpdate, artifactUpdate } = event;
    for (const artifact of task?.artifacts ?? []) await this.#artifact(artifact, false);
    if (artifactUpdate?.artifact) await this.#artifact(artifactUpdate.artifact, artifactUpdate.append === true);
    if (message) await this.#parts(message.parts ?? []);
    const status = (task ?? statusUpdate)?.status;
    if (status) await this.#statusOf(status, stateIn(event));
  }

  async #artifact({ artifactId = '', parts = [] }: WireArtifact, append: boolean): Promise<void> {
    const known = this.#artifacts.get(artifactId);
    const shown = known ?? { text: '', others: 0 };
    if (!known) {
      if (this.#artifacts.size < maxArtifacts) this.#artifacts.set(artifactId, shown);
      await this.#screen.endLine();
    }
    const text = textOf(parts);
    const others = parts.filter((part) => !('text' in part));
    const isNew = append ? text : await this.#beyond(shown, text);
    await this.#screen.answer(isNew);
    if (append || !known) shown.text = shown.text.length < maxRemembered ? shown.text + text : shown.text;
    else shown.text = text.slice(0, maxRemembered);
    for (const part of append ? others : others.slice(shown.others)) await this.#part(part);
    shown.others = append ? shown.others + others.length : Math.max(shown.others, others.length);
  }

  /** What of a text is not on the screen yet. */
  async #beyond(shown: Shown, text: string): Promise<string> {
    if (text.startsWith(shown.text)) return text.slice(shown.text.length);
    if (shown.text.startsWith(text)) return '';
    await this.#screen.endLine();
    return text;
  }

  async #statusOf({ message }: WireStatus, state: string | undefined): Promise<void> {
    if (!message) return;
    const { messageId, parts = [] } = message;
    if (messageId !== undefined && messageId === this.#status) return;
    this.#status = messageId;
    switch (state) {
      case 'TASK_STATE_SUBMITTED':
      case 'TASK_STATE_WORKING':
        for (const part of parts) await this.#progress(part);
        return;
      case 'TASK_STATE_COMPLETED':
        if (!this.#hasSaid(textOf(parts))) await this.#parts(parts);
        return;
      case 'TASK_STATE_INPUT_REQUIRED':
      case 'TASK_STATE_AUTH_REQUIRED':
        await this.#parts(parts);
        return;
      // Why a task failed is told with its outcome.
      default:
    }
  }

  #hasSaid(text: string): boolean {
    const wanted = text.trim();
    return wanted !== '' && [...this.#artifacts.values()].some((shown) => shown.text.trim() === wanted);
  }

  async #progress(part: Part): Promise<void> {
    const { width } = this.#screen;
    const tool = toolLine(part, width);
    if (tool !== undefined) return this.#screen.note(tool);
    if (!('text' in part)) return this.#screen.note(describePart(part));
    const line = oneLine(part.text, width);
    if (line !== '') await this.#screen.note(`· ${line}`);
  }

  async #parts(parts: readonly Part[]): Promise<void> {
    if (parts.length > 0) await this.#screen.endLine();
    await this.#screen.answer(textOf(parts));
    for (const part of parts) if (!('text' in part)) await this.#part(part);
  }

  async #part(part: Part): Promise<void> {
    const saved = this.#files ? await this.#files.save(part) : undefined;
    await this.#screen.note(saved === undefined ? describePart(part) : `${describePart(part)} saved as ${saved}`);
    if (!('data' in part)) return;
    await this.#screen.endLine();
    await this.#screen.answer(`${JSON.stringify(part.data, undefined, 2) ?? 'null'}\n`);
  }
}
