import { type AgentEvent, type Artifact, type Message, type Part, TextBuilder } from '../../../core/index.ts';
import { type Extent, extentOf, isPlainText, plainText, type Seen } from './seen.ts';
import type { WireEvent, WireStatus, WireTask } from './wire.ts';

/** How the work over there has come to its end. */
export interface Ending {
  readonly state: WireStatus['state'];
  readonly parts: readonly Part[];
}

const nothing: Extent = { text: 0, parts: 0, answer: false };

/**
 * What comes from the other side, as events of the agent here.
 *
 * The first artifact that has text is the answer: its text goes on piece by piece. Every other artifact goes on as it is. A
 * task that comes as a whole brings only what was missing, and what an artifact is replaced by only where it differs:
 * nothing is lost, and nothing comes twice.
 */
export class RemoteAnswer {
  readonly #extents = new Map<string, Extent>();
  /** The text of the answer as it was passed on; none of artifacts from before, of which only the length is known. */
  readonly #texts = new Map<string, TextBuilder>();
  readonly #said = new TextBuilder();
  readonly #messageId: string;
  #answerId: string | undefined;
  #statusId: string | undefined;
  #brought = false;
  #separate = false;
  ending: Ending | undefined;

  /** `messageId`: of what was asked. */
  constructor(messageId: string, seen: Seen = {}) {
    this.#messageId = messageId;
    for (const [id, extent] of Object.entries(seen)) this.#extents.set(id, extent);
  }

  /** All the text that was passed on. */
  get text(): string {
    return this.#said.toString();
  }

  get seen(): Seen {
    return Object.fromEntries(this.#extents);
  }

  *take(event: WireEvent): Generator<AgentEvent> {
    switch (event.type) {
      case 'task':
        for (const artifact of event.task.artifacts) yield* this.#whole(artifact);
        yield* this.#status(event.task.status, event.task);
        return;
      case 'artifact':
        yield* event.append ? this.#more(event.artifact) : this.#whole(event.artifact);
        return;
      case 'status':
        yield* this.#status(event.status);
        return;
      case 'message':
        yield* this.#message(event.message);
        this.ending = { state: 'TASK_STATE_COMPLETED', parts: [] };
    }
  }

  /** An artifact as it is now, of which some may have been passed on. */
  *#whole(artifact: Artifact): Generator<AgentEvent> {
    if (artifact.parts.length === 0) return;
    const { artifactId, parts } = artifact;
    const known = this.#extents.get(artifactId);
    const now = extentOf(artifact);
    if (!this.#isAnswer(artifact)) {
      if (known && known.text === now.text && known.parts === now.parts) return;
      this.#extents.set(artifactId, now);
      yield this.#artifact(artifact, false);
      return;
    }
    yield* this.#textOf(artifactId, plainText(parts));
    yield* this.#others(artifact, parts.filter((part) => !isPlainText(part)).slice(known?.parts ?? 0));
  }

  /** Parts that go to the end of an artifact. */
  *#more(artifact: Artifact): Generator<AgentEvent> {
    const { artifactId, parts } = artifact;
    const known = this.#extents.get(artifactId);
    if (!known) return yield* this.#whole(artifact);
    if (parts.length === 0) return;
    if (known.answer) {
      yield* this.#text(artifactId, plainText(parts));
      yield* this.#others(
        artifact,
        parts.filter((part) => !isPlainText(part)),
      );
      return;
    }
    const added = extentOf(artifact);
    this.#extents.set(artifactId, { ...known, text: known.text + added.text, parts: known.parts + added.parts });
    yield this.#artifact(artifact, true);
  }

  #isAnswer({ artifactId, parts }: Artifact): boolean {
    const known = this.#extents.get(artifactId);
    if (known) return known.answer;
    if (this.#answerId !== undefined || !parts.some(isPlainText)) return false;
    this.#answerId = artifactId;
    this.#texts.set(artifactId, new TextBuilder());
    this.#extents.set(artifactId, { ...nothing, answer: true });
    return true;
  }

  /** What the text of an artifact has more than was passed on. A text that is another one altogether is a paragraph more. */
  *#textOf(artifactId: string, text: string): Generator<AgentEvent> {
    const before = this.#texts.get(artifactId)?.toString();
    const length = this.#extents.get(artifactId)?.text ?? 0;
    if (before === undefined || text.startsWith(before)) yield* this.#text(artifactId, text.slice(length));
    else if (!before.startsWith(text)) {
      this.#separate = true;
      this.#texts.set(artifactId, new TextBuilder());
      this.#extents.set(artifactId, { ...(this.#extents.get(artifactId) ?? nothing), text: 0 });
      yield* this.#text(artifactId, text);
    }
  }

  *#text(artifactId: string, delta: string): Generator<AgentEvent> {
    const known = this.#extents.get(artifactId) ?? nothing;
    this.#extents.set(artifactId, { ...known, text: known.text + delta.length });
    this.#texts.get(artifactId)?.append(delta);
    yield* this.#say(delta);
  }

  *#others(artifact: Artifact, parts: readonly Part[]): Generator<AgentEvent> {
    if (parts.length === 0) return;
    const known = this.#extents.get(artifact.artifactId) ?? nothing;
    this.#extents.set(artifact.artifactId, { ...known, parts: known.parts + parts.length });
    yield this.#artifact({ ...artifact, parts }, known.parts > 0);
  }

  *#say(delta: string): Generator<AgentEvent> {
    if (delta === '') return;
    const separator = this.#separate && this.#said.length > 0 ? '\n\n' : '';
    this.#separate = false;
    this.#said.append(separator + delta);
    yield { type: 'text', delta: separator + delta };
  }

  #artifact({ artifactId, name, description, parts, metadata }: Artifact, append: boolean): AgentEvent {
    this.#brought = true;
    const about = { ...(name && { name }), ...(description && { description }), ...(metadata && { metadata }) };
    return { type: 'artifact', artifact: { artifactId, ...about, parts }, append };
  }

  *#status({ state, message }: WireStatus, task?: WireTask): Generator<AgentEvent> {
    const parts = message?.parts ?? [];
    if (state === 'TASK_STATE_WORKING') {
      if (!message || parts.length === 0) return;
      // It comes again with every snapshot of the task.
      if (message.messageId !== '' && message.messageId === this.#statusId) return;
      this.#statusId = message.messageId;
      yield { type: 'status', parts, ...(message.extensions?.length && { extensions: message.extensions }) };
      return;
    }
    if (state === 'TASK_STATE_COMPLETED') {
      if (message) yield* this.#message(message);
      if (this.#said.length === 0 && !this.#brought && task) yield* this.#history(task.history);
    }
    this.ending = { state, parts };
  }

  /** A message that is an answer. Some servers say in it once more what an artifact has said. */
  *#message({ messageId, parts }: Message): Generator<AgentEvent> {
    const text = plainText(parts);
    if (text.trim() !== this.text.trim()) {
      this.#separate = true;
      yield* this.#say(text);
    }
    const others = parts.filter((part) => !isPlainText(part));
    if (others.length > 0) yield this.#artifact({ artifactId: messageId || 'answer', parts: others }, false);
  }

  /** Where an answer is nowhere else, it is the last that was said to what was asked. */
  *#history(history: readonly Message[]): Generator<AgentEvent> {
    const asked = history.findLastIndex(({ messageId }) => messageId === this.#messageId);
    const last = history.slice(asked + 1).findLast(({ role }) => role === 'ROLE_AGENT');
    if (asked !== -1 && last) yield* this.#message(last);
  }
}
