import { type AgentName, steadyStamp } from './configuration.ts';
import type { Ledger } from './ledger.ts';

/** What is asked of the model: so many pieces, one every so many milliseconds. */
export interface Wish {
  readonly pieces: number;
  readonly everyMs: number;
}

export const wishText = ({ pieces, everyMs }: Wish): string => `say ${pieces} every ${everyMs}`;

/** Who answered, and what was known when the request began. */
export interface Asked {
  readonly agent: AgentName;
  readonly floor: number;
}

/** Holds the text of an answer against the rules. Whether it is complete is told apart, by the caller's own rule. */
export function checkText(text: string, asked: Asked, ledger: Ledger): { readonly pieces: number } {
  const pieces = [...text.matchAll(/\[(\d+) (\w+) (\d+) (\d+)\]/g)];
  const whole = pieces.map(([piece]) => piece).join('');
  const order = pieces.every(([, number], index) => Number(number) === index);
  const madeFrom = new Set(
    pieces.map(([, , instruction, options, instance]) => `${instruction}/${options}/${instance}`),
  );
  const [, , instruction, options, instance] = pieces[0] ?? [];
  if (whole !== text || !order) ledger.breach('mixed', `an answer is not what its model said: ${text}`);
  else if (madeFrom.size > 1) ledger.breach('mixed', `pieces of one answer were made from ${[...madeFrom].join(', ')}`);
  else if (instruction !== options)
    ledger.breach('mixed', `the instruction of revision ${instruction} with the model of revision ${options}`);
  else if (instruction !== undefined) checkAge(Number(instruction), asked, ledger);
  // What does not change is built once and carried over from revision to revision.
  if (asked.agent === 'steady' && instance !== undefined && instance !== ledger.steadyInstance(instance))
    ledger.breach('mixed', `the model of an unchanged agent was built anew: instance ${instance}`);
  return { pieces: pieces.length };
}

interface Card {
  readonly name: string;
  readonly description: string;
  readonly skills: readonly { readonly description: string }[];
}

export function checkCard(card: Card, asked: Asked, ledger: Ledger): void {
  const [stamp, skill] = [card.description, card.skills[0]?.description].map(
    (text) => /stamp=(\d+)/.exec(text ?? '')?.[1],
  );
  if (stamp === undefined) ledger.breach('failed', `a card without a stamp: ${JSON.stringify(card)}`);
  else if (stamp !== skill) ledger.breach('mixed', `a card of revision ${stamp} with a skill of revision ${skill}`);
  else checkAge(Number(stamp), asked, ledger);
}

function checkAge(stamp: number, { agent, floor }: Asked, ledger: Ledger): void {
  if (agent === 'steady') {
    if (stamp !== steadyStamp) ledger.breach('mixed', `the unchanged agent answered as revision ${stamp}`);
  } else if (stamp < floor) {
    ledger.breach('stale', `revision ${stamp} answered a request that began when ${floor} was said to serve`);
  } else if (stamp > ledger.written) {
    ledger.breach('mixed', `revision ${stamp} answered, and only ${ledger.written} have been written`);
  }
}
