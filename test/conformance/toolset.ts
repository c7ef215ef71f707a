import assert from 'node:assert/strict';
import {
  anonymous,
  silentLogger,
  type Tool,
  type ToolContext,
  type ToolResult,
  type Toolset,
} from '../../core/index.ts';

/** A call of one tool. */
export interface ToolsetCall {
  readonly tool: string;
  readonly arguments: Record<string, unknown>;
}

export interface ToolsetKit {
  /** Registers a test with whatever runner you use: `test` of node:test, `it` of others. */
  test(name: string, body: () => Promise<void>): unknown;
  create(): Promise<Toolset> | Toolset;
  /** Calls that succeed, and what is expected of their results. */
  readonly calls?: readonly (ToolsetCall & { check?(result: ToolResult): void })[];
  /** Calls that fail in a way that the model should read about. */
  readonly failures?: readonly ToolsetCall[];
  /** A call that goes on until its signal aborts. */
  readonly endless?: ToolsetCall;
}

/** What the contract asks of every toolset. */
export function testToolset({ test, create, calls = [], failures = [], endless }: ToolsetKit): void {
  const withToolset = (name: string, body: (toolset: Toolset) => Promise<void>) =>
    test(`toolset: ${name}`, async () => {
      const toolset = await create();
      try {
        await body(toolset);
      } finally {
        await toolset[Symbol.asyncDispose]?.();
      }
    });

  withToolset('every tool has a name that models accept, a description and an object schema', async (toolset) => {
    for (const tool of await listed(toolset)) {
      assert.match(tool.name, /^[a-zA-Z0-9_-]{1,64}$/);
      assert.ok(tool.description.trim() !== '', `${tool.name} has a description`);
      assert.equal(tool.parameters['type'], 'object', `the parameters of ${tool.name} are an object schema`);
      assert.deepEqual(
        JSON.parse(JSON.stringify(tool.parameters)),
        tool.parameters,
        `the schema of ${tool.name} is JSON`,
      );
      assert.equal(typeof tool.execute, 'function');
    }
  });

  withToolset('no two tools have one name', async (toolset) => {
    const names = (await listed(toolset)).map((tool) => tool.name);
    assert.deepEqual([...new Set(names)], names);
  });

  withToolset('lists the same tools in the same order for all who ask at once', async (toolset) => {
    const lists = await Promise.all([listed(toolset), listed(toolset), listed(toolset)]);
    const [first, ...others] = lists.map((tools) =>
      tools.map(({ name, description, parameters }) => ({ name, description, parameters })),
    );
    for (const other of others) assert.deepEqual(other, first);
  });

  for (const call of calls) {
    withToolset(`${call.tool} answers with what can be sent to a model`, async (toolset) => {
      const result = await execute(toolset, call);
      assert.doesNotThrow(() => JSON.stringify(result));
      call.check?.(result);
    });

    withToolset(`${call.tool} serves many calls at once and leaves its arguments alone`, async (toolset) => {
      const before = structuredClone(call.arguments);
      const results = await Promise.all(Array.from({ length: 8 }, () => execute(toolset, call)));
      for (const result of results) call.check?.(result);
      assert.deepEqual(call.arguments, before);
    });
  }

  for (const call of failures) {
    withToolset(`${call.tool} throws an error that says what went wrong`, async (toolset) => {
      await assert.rejects(
        async () => execute(toolset, call),
        (error) => error instanceof Error && error.message.trim() !== '',
      );
    });
  }

  if (endless) {
    withToolset(`${endless.tool} stops when its signal aborts`, async (toolset) => {
      const controller = new AbortController();
      const tool = await toolNamed(toolset, endless.tool);
      const running = (async () => tool.execute(endless.arguments, contextOf(controller.signal)))();
      const ended = running.then(
        () => true,
        () => true,
      );
      await new Promise((resolve) => setTimeout(resolve, 20));
      controller.abort(new Error('cancelled'));
      assert.ok(await within(ended, 5_000), 'ended within five seconds');
    });
  }
}

async function listed(toolset: Toolset): Promise<readonly Tool[]> {
  return toolset.tools(new AbortController().signal);
}

async function toolNamed(toolset: Toolset, name: string): Promise<Tool> {
  const tool = (await listed(toolset)).find((one) => one.name === name);
  assert.ok(tool, `the toolset has a tool "${name}"`);
  return tool;
}

async function execute(toolset: Toolset, call: ToolsetCall): Promise<ToolResult> {
  const tool = await toolNamed(toolset, call.tool);
  return tool.execute(call.arguments, contextOf(new AbortController().signal));
}

function contextOf(signal: AbortSignal): ToolContext {
  return {
    agent: 'conformance',
    principal: anonymous,
    taskId: 'task',
    contextId: 'context',
    logger: silentLogger,
    signal,
    progress: () => {},
  };
}

async function within(done: Promise<boolean>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([done, late]);
  } finally {
    clearTimeout(timer);
  }
}
