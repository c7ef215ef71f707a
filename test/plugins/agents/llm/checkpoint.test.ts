import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Agent, ChatMessage, ChatRequest, Tool } from '../../../../core/index.ts';
import { agentContext, assertConversation, collect, userText } from '../../../conformance/agent.ts';
import { type LlmAgentSetup, llmAgent, tool } from '../../../support/llm-agent.ts';
import { type Came, type InProcesses, inProcesses } from '../../../support/resumption.ts';
import { calls, finish, type Step, says, scriptedLlm } from '../../../support/scripted-llm.ts';

const results = (request: ChatRequest) =>
  request.messages.flatMap(({ parts }) => parts).filter((part) => part.type === 'tool_call_response');
const answers = ({ messages }: ChatRequest): number => messages.filter(({ role }) => role === 'tool').length;

/** A model that follows a script by how many turns there were, whoever asks and however often. */
const following = (...turns: readonly ((request: ChatRequest) => readonly Step[])[]) =>
  scriptedLlm((request) => {
    const next = turns[answers(request)];
    if (!next) throw new Error('The script has no such turn.');
    return next(request);
  });

const named = (name: string, id: string, args: object = {}) => calls({ name, id, arguments: args });
const both = (text: string, steps: readonly Step[]): Step[] => [{ type: 'text', delta: text }, ...steps];

/** Counts how often each call was begun and finished, in all processes. */
function countedTools(names: readonly string[], more: Partial<Tool> = {}) {
  const begun = new Map<string, number>();
  const finished = new Map<string, number>();
  const count = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1);
  const tools = names.map(
    (name): Tool => ({
      ...tool(name, async () => {
        count(begun, name);
        await turn();
        count(finished, name);
        return `${name} done`;
      }),
      ...more,
    }),
  );
  return { tools, begun, finished };
}

/** Ends a process at each of its saves in turn, written or not, and hands each outcome over to be looked at. */
async function atEverySave(
  make: () => InProcesses & { readonly check?: (came: Came) => void },
): Promise<{ whole: Came; saves: number }> {
  const first = make();
  const whole = await inProcesses(first);
  first.check?.(whole);
  assert.ok(whole.saves > 0, 'something is saved');
  for (const written of [true, false]) {
    for (let save = 1; save <= whole.saves; save++) {
      for (const stops of [[save], [save, 1]]) {
        const again = make();
        const came = await inProcesses({ ...again, stops, written });
        assert.ok(came.processes >= 2, `stopped at save ${save}`);
        again.check?.(came);
      }
    }
  }
  return { whole, saves: whole.saves };
}

const conversationOf = (came: Came, name = 'subject'): readonly ChatMessage[] => {
  const messages = came.conversations[name] ?? [];
  assertConversation(messages);
  return messages;
};

describe('an llm agent that is continued', () => {
  test('comes to the same answer from every save, with every call made once', async () => {
    const { saves } = await atEverySave(() => {
      const { tools, begun } = countedTools(['first', 'second', 'third'], { idempotent: true });
      return {
        agent: () =>
          llmAgent({
            llm: following(
              () => both('one', named('first', 'a')),
              () => both('two', named('second', 'b')),
              () => both('three', named('third', 'c')),
              () => says('the', ' end'),
            ),
            tools,
          }),
        check(came) {
          assert.equal(came.text, 'one\n\ntwo\n\nthree\n\nthe end');
          assert.equal(conversationOf(came).length, 8);
          assert.deepEqual([...begun.keys()], ['first', 'second', 'third']);
        },
      };
    });
    assert.ok(saves >= 12, `${saves} saves`);
  });

  test('a call that had finished is not made again, and one whose outcome is unknown only where it may be', async () => {
    for (const idempotent of [true, false]) {
      let unknown = 0;
      await atEverySave(() => {
        const { tools, begun, finished } = countedTools(['a', 'b', 'c', 'd', 'e'], { idempotent });
        return {
          agent: () =>
            llmAgent({
              llm: following(
                () => calls(...['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, id: `id-${name}` }))),
                (request) => {
                  const failed = results(request).filter(({ isError }) => isError);
                  for (const { response } of failed) assert.match(String(response), /may or may not have taken effect/);
                  unknown += failed.length;
                  assert.deepEqual(
                    results(request).map(({ id }) => id),
                    ['a', 'b', 'c', 'd', 'e'].map((name) => `id-${name}`),
                  );
                  return says('done');
                },
              ),
              tools,
              options: { max_parallel_tools: 2 },
            }),
          check(came) {
            assert.equal(came.text, 'done');
            assert.equal(conversationOf(came).length, 4);
            for (const name of ['a', 'b', 'c', 'd', 'e']) {
              if (!idempotent) assert.ok((begun.get(name) ?? 0) <= 1, `${name} was made twice`);
              if (idempotent) assert.ok((finished.get(name) ?? 0) >= 1, `${name} was never made`);
            }
          },
        };
      });
      assert.equal(unknown > 0, !idempotent);
    }
  });

  test('calls that were still queued are made', async () => {
    const begun: string[] = [];
    const agent = () =>
      llmAgent({
        llm: following(
          () => calls({ name: 'slow', id: '1' }, { name: 'queued', id: '2' }),
          (request) => says(JSON.stringify(results(request).map(({ isError = false }) => isError))),
        ),
        tools: [tool('slow', () => void begun.push('slow')), tool('queued', () => void begun.push('queued'))],
        options: { max_parallel_tools: 1 },
      });
    const came = await inProcesses({ agent, stops: [1] });
    assert.equal(came.text, '[true,false]');
    assert.deepEqual(begun, ['queued']);
  });

  test('structured output is put right once, in whichever process', async () => {
    await atEverySave(() => {
      let corrections = 0;
      const { tools } = countedTools(['look'], { idempotent: true });
      return {
        agent: () =>
          llmAgent({
            llm: scriptedLlm((request) => {
              if (answers(request) === 0) return named('look', 'x');
              if (!request.messages.some(({ parts }) => JSON.stringify(parts).includes('does not satisfy')))
                return says('{}');
              corrections++;
              return says('{"ok":true}');
            }),
            tools,
            options: { structured_output: { schema: { type: 'object', required: ['ok'] } } },
          }),
        check(came) {
          assert.equal(came.text, '{"ok":true}');
          assert.deepEqual(
            came.artifacts.map(({ parts }) => parts),
            [[{ data: { ok: true }, mediaType: 'application/json' }]],
          );
          assert.ok(corrections >= 1);
          assert.equal(conversationOf(came).length, 4);
        },
      };
    });
  });

  test('a call of a final tool ends the run, also if it had been made before', async () => {
    await atEverySave(() => {
      const { tools, begun } = countedTools(['stop'], { final: true, idempotent: true });
      return {
        agent: () => llmAgent({ llm: following(() => both('said', named('stop', 's'))), tools }),
        check(came) {
          assert.equal(came.text, 'said');
          assert.ok((begun.get('stop') ?? 0) >= 1);
          assert.equal(conversationOf(came).length, 3);
        },
      };
    });
  });

  test('files in results are as they were', async () => {
    const data = new Uint8Array([0, 255, 7]);
    const { agent } = {
      agent: () =>
        llmAgent({
          llm: following(
            () => named('photo', 'p'),
            (request) => {
              const [result] = results(request);
              assert.deepEqual(result?.response, [{ type: 'file', mediaType: 'image/png', data }]);
              return says('seen');
            },
          ),
          tools: [tool('photo', () => [{ type: 'file', mediaType: 'image/png', data }])],
        }),
    };
    const { saves } = await inProcesses({ agent });
    for (let stop = 2; stop <= saves; stop++) assert.equal((await inProcesses({ agent, stops: [stop] })).text, 'seen');
  });

  test('model calls count as a whole', async () => {
    const { tools } = countedTools(['again'], { idempotent: true });
    const setup: LlmAgentSetup = {
      llm: scriptedLlm(() => named('again', 'x')),
      tools,
      options: { reasoning: { max_iterations: 3 } },
    };
    await assert.rejects(inProcesses({ agent: () => llmAgent(setup), stops: [5] }), /after 3 model calls/);
    assert.equal(setup.llm && (setup.llm as ReturnType<typeof scriptedLlm>).requests.length, 3);
  });

  test('a failed save fails the run before the model is asked again', async () => {
    const failing = (moments: number) => {
      let saves = 0;
      return {
        restored: undefined,
        save: async () => {
          if (++saves >= moments) throw new Error('the database is gone');
        },
        at: () => assert.fail('no parts'),
      };
    };
    for (const at of [1, 2, 3]) {
      let made = 0;
      const llm = following(
        () => named('look', 'x'),
        () => says('done'),
      );
      const agent = llmAgent({ llm, tools: [tool('look', () => void made++)] });
      await assert.rejects(
        collect(agent.run(userText('x'), agentContext({ checkpoint: failing(at) }))),
        /database is gone/,
      );
      assert.equal(llm.requests.length, 1);
      assert.equal(made, at === 1 ? 0 : 1, 'no call is made that is not written down');
    }
  });

  test('what another kind of agent has saved is not read', async () => {
    const agent = llmAgent({ llm: scriptedLlm([() => says('x')]) });
    for (const restored of [{ kind: 'llm', version: 99 }, { kind: 'loop', version: 1 }, 'x', null, 7]) {
      const checkpoint = { restored, save: async () => {}, at: () => assert.fail('no parts') };
      await assert.rejects(collect(agent.run(userText('x'), agentContext({ checkpoint }))), {
        code: 'checkpoint_unreadable',
      });
    }
  });

  test('a tool that is gone is unknown, and what it had answered stands', async () => {
    const make = (tools: readonly Tool[]): Agent =>
      llmAgent({
        llm: following(
          () => calls({ name: 'gone', id: '1' }, { name: 'gone', id: '2' }),
          (request) =>
            says(
              results(request)
                .map(({ response }) => String(response))
                .join('|'),
            ),
        ),
        tools,
        options: { max_parallel_tools: 1 },
      });
    let process = 0;
    const came = await inProcesses({
      agent: () => make(process++ === 0 ? [tool('gone', () => 'had answered')] : []),
      stops: [1],
    });
    assert.match(came.text, /may or may not have taken effect.*\|Error: There is no tool named "gone"/);
  });

  test('saves nothing before something was done', async () => {
    const came = await inProcesses({
      agent: llmAgent({ llm: scriptedLlm(() => [{ type: 'text', delta: 'x' }, finish()]) }),
    });
    assert.equal(came.saves, 0);
  });
});
