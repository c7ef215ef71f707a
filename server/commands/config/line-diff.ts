/** `' '`: in both, `-`: only before, `+`: only after. The lines by their numbers, from 0. */
interface Step {
  readonly sign: ' ' | '-' | '+';
  readonly before: number;
  readonly after: number;
}

const context = 3;
/** Over so many differing lines the shortest way is not looked for: all of the one, then all of the other. */
const maxEdits = 2_000;

/**
 * The hunks of a unified diff, without its head. Lines are compared as they are and shown as `show…` has them, which have
 * secrets as stars.
 */
export function lineDiff(
  before: readonly string[],
  after: readonly string[],
  shownBefore: readonly string[] = before,
  shownAfter: readonly string[] = after,
): string {
  const steps = stepsOf(before, after);
  const out: string[] = [];
  for (const [from, to] of hunks(steps)) {
    const part = steps.slice(from, to);
    const count = (sign: '-' | '+') => part.filter((step) => step.sign === ' ' || step.sign === sign).length;
    const first = part[0] as Step;
    out.push(`@@ -${range(first.before, count('-'))} +${range(first.after, count('+'))} @@`);
    for (const step of part)
      out.push(`${step.sign}${step.sign === '+' ? shownAfter[step.after] : shownBefore[step.before]}`);
  }
  return out.map((line) => `${line}\n`).join('');
}

const range = (start: number, count: number) => `${count === 0 ? start : start + 1}${count === 1 ? '' : `,${count}`}`;

/** From and to, of changes with the lines around them. */
function hunks(steps: readonly Step[]): [number, number][] {
  const found: [number, number][] = [];
  for (const [index, { sign }] of steps.entries()) {
    if (sign === ' ') continue;
    const [from, to] = [Math.max(0, index - context), Math.min(steps.length, index + context + 1)];
    const last = found.at(-1);
    if (last && from <= last[1]) last[1] = to;
    else found.push([from, to]);
  }
  return found;
}

function stepsOf(before: readonly string[], after: readonly string[]): Step[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let tail = 0;
  const most = Math.min(before.length, after.length) - start;
  while (tail < most && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  const [a, b] = [before.slice(start, before.length - tail), after.slice(start, after.length - tail)];
  const steps: Step[] = [];
  for (let line = 0; line < start; line++) steps.push({ sign: ' ', before: line, after: line });
  for (const { sign, before: x, after: y } of shortest(a, b) ?? replaced(a, b))
    steps.push({ sign, before: start + x, after: start + y });
  for (let line = tail; line > 0; line--)
    steps.push({ sign: ' ', before: before.length - line, after: after.length - line });
  return steps;
}

function replaced(a: readonly string[], b: readonly string[]): Step[] {
  return [
    ...a.map((_, before): Step => ({ sign: '-', before, after: 0 })),
    ...b.map((_, after): Step => ({ sign: '+', before: a.length, after })),
  ];
}

/** Myers' algorithm: for each number of edits the furthest that every diagonal gets, then back along the way. */
function shortest(a: readonly string[], b: readonly string[]): Step[] | undefined {
  const most = Math.min(a.length + b.length, maxEdits);
  const furthest = new Int32Array(2 * most + 3);
  const trace: Int32Array[] = [];
  const at = (k: number) => k + most + 1;
  for (let edits = 0; edits <= most; edits++) {
    // Of the row before, no more than it reached.
    trace.push(furthest.slice(at(-edits), at(edits) + 1));
    for (let k = -edits; k <= edits; k += 2) {
      const [left, right] = [furthest[at(k - 1)] as number, furthest[at(k + 1)] as number];
      let x = k === -edits || (k !== edits && left < right) ? right : left + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      furthest[at(k)] = x;
      if (x >= a.length && x - k >= b.length) return backtracked(trace, edits, a.length, b.length);
    }
  }
  return undefined;
}

function backtracked(trace: readonly Int32Array[], edits: number, endA: number, endB: number): Step[] {
  const steps: Step[] = [];
  let [x, y] = [endA, endB];
  for (let d = edits; d > 0; d--) {
    const row = trace[d] as Int32Array;
    const value = (k: number) => row[k + d] as number;
    const k = x - y;
    const isInsertion = k === -d || (k !== d && value(k - 1) < value(k + 1));
    const fromK = isInsertion ? k + 1 : k - 1;
    const fromX = value(fromK);
    const fromY = fromX - fromK;
    while (
      x > fromX &&
      y > fromY &&
      x > 0 &&
      y > 0 &&
      x - 1 >= fromX + (isInsertion ? 0 : 1) &&
      y - 1 >= fromY + (isInsertion ? 1 : 0)
    ) {
      x--;
      y--;
      steps.push({ sign: ' ', before: x, after: y });
    }
    if (isInsertion) y--;
    else x--;
    steps.push({ sign: isInsertion ? '+' : '-', before: x, after: y });
  }
  while (x > 0 && y > 0) {
    x--;
    y--;
    steps.push({ sign: ' ', before: x, after: y });
  }
  return steps.reverse();
}
