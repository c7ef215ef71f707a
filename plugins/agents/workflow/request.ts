import type { Message, Task } from '../../../core/index.ts';
import { partsText } from '../part-text.ts';

/** What a step has said. */
export interface Answer {
  readonly name: string;
  readonly text: string;
}

/** The message that the work began with, and what has been answered since. */
export function withAnswers(request: Message, answers: Iterable<Answer>): Message {
  const parts = [...answers].filter(({ text }) => text !== '').map((answer) => ({ text: labelled(answer) }));
  return { ...request, parts: [...request.parts, ...parts] };
}

export function labelled({ name, text }: Answer): string {
  return `[Answer of "${name}"]: ${text}`;
}

/** What a step answered in an earlier run of the task. */
export function earlierAnswer(
  { artifacts }: Task,
  { id, name }: { readonly id: string; readonly name: string },
): Answer {
  return { name, text: partsText(artifacts.find(({ artifactId }) => artifactId === id)?.parts ?? []) };
}
