import assert from 'node:assert/strict';
import type { Agent, ChatMessage, LlmProvider, Tool } from '../../../core/index.ts';
import { assertConversation } from '../../conformance/agent.ts';
import { type Left, type Outcome, runUntil, type Work } from '../../conformance/agent-resumption.ts';
import { tool } from '../../support/llm-agent.ts';
import { type Step, scriptedLlm } from '../../support/scripted-llm.ts';

/** What is compared of an outcome: everything but what is made up anew in every run. */
export interface Result {
  readonly text: string;
  readonly artifacts: readonly string[];
  readonly conversations: Readonly<Record<string, readonly ChatMessage[]>>;
}

export function resultOf({ text, artifacts, conversations }: Outcome): Result {
  const unmarked = (value: string) => value.replace(/-[0-9a-f]{8}\//g, '-X/').replace(/back-[0-9a-f-]{36}/g, 'back-X');
  const shown = artifacts.map(({ artifactId, parts }) => {
    const texts = parts.map((part) => ('text' in part ? part.text : JSON.stringify(part)));
    return unmarked(`${artifactId}: ${texts.join('')}`);
  });
  return { text, artifacts: shown.sort(), conversations: JSON.parse(unmarked(JSON.stringify(conversations))) };
}

/** Makes an agent for a process; its tools say in `called` what is asked of them. */
export type Make = (called: string[]) => Agent | Promise<Agent>;

/** What came of work whose process has ended on the way. */
export interface Continued {
  readonly result: Result;
  /** By all processes together, in order. */
  readonly called: readonly string[];
  /** How often the process has ended. */
  readonly ends: number;
  /** After how many saves, for messages. */
  readonly where: string;
}

const variants: readonly Partial<Work>[] = [
  {},
  { slow: true, lost: true },
  { moments: ['tool_call'] },
  { moments: ['tool_call', 'after_tools'], slow: true },
];

/**
 * Does the work without an end of its process, then with one right after each of its saves, then with one after every
 * second save. Returns how often that was.
 */
export async function everyEnd(make: Make, work: Work, check: (continued: Continued) => void): Promise<number> {
  let tried = 0;
  // One agent for the processes that end, and one for those that go on, since it takes long to make one.
  const called: string[] = [];
  const [ending, goingOn] = [await make(called), await make(called)];
  const checkAll = (outcome: Outcome, ends: number, where: string) => {
    tried++;
    assert.ok(outcome.done, where);
    for (const conversation of Object.values(outcome.conversations)) assertConversation(conversation);
    check({ result: resultOf(outcome), called: called.splice(0), ends, where });
  };
  for (const variant of variants) {
    const those = { ...work, ...variant };
    const name = JSON.stringify(variant);
    const whole = await runUntil(ending, those);
    checkAll(whole, 0, `${name}, without an end`);
    for (let stopAfter = 1; stopAfter <= whole.written.length; stopAfter++) {
      const first = await runUntil(ending, those, undefined, stopAfter);
      const second = first.done ? first : await runUntil(goingOn, those, first.written.at(-1));
      checkAll(second, 1, `${name}, after ${stopAfter} of ${whole.written.length} saves`);
    }
    let left: Left | undefined;
    for (let ends = 0; ; ends++) {
      assert.ok(ends < 200, `${name}: the work does not come to its end where its process ends again and again`);
      const run = await runUntil(ends % 2 === 0 ? ending : goingOn, those, left, 2);
      left = run.written.at(-1) ?? left;
      if (!run.done) continue;
      checkAll(run, ends, `${name}, after every second save`);
      break;
    }
  }
  return tried;
}

/** No call was made twice. */
export function assertOnce({ called, where }: Continued): void {
  assert.deepEqual(called, [...new Set(called)], where);
}

/** A model that gives these answers, by how far the work on the last message has come. */
export function turns(...script: readonly (readonly Step[])[]): LlmProvider {
  return scriptedLlm(({ messages }) => {
    const asked = messages.findLastIndex(({ role }) => role === 'user');
    const given = messages.slice(asked).filter(({ role }) => role === 'assistant').length;
    const turn = script[given];
    assert.ok(turn, `the model is asked once more than it has answers: ${JSON.stringify(messages)}`);
    return turn;
  });
}

/** Works on an item for a while, and tells when it begins. */
export function workTool(called: string[], more: Partial<Tool> = {}, name = 'work'): Tool {
  const work = async ({ item }: Record<string, unknown>) => {
    called.push(`${name} ${item}`);
    for (let turn = 0; turn < String(item).length; turn++) await new Promise((resolve) => setImmediate(resolve));
    return `${item} is done`;
  };
  return { ...tool(name, work, { item: { type: 'string' } }), ...more };
}

export const working = (item: string, name = 'work') => ({ name, id: `${name}-${item}`, arguments: { item } });

/** The results of tools in a conversation, by the id of the call. */
export function toolResults(history: readonly ChatMessage[] = []): ReadonlyMap<string, string> {
  const responses = history.flatMap(({ parts }) => parts.filter((part) => part.type === 'tool_call_response'));
  return new Map(responses.map(({ id, response }) => [id, String(response)]));
}

export const isUnknown = (response: string | undefined): boolean =>
  /may or may not have taken effect/.test(response ?? '');
