import { LLMock } from '@copilotkit/aimock';
import { bytes, type LlmProvider, type Plugin } from '../../core/index.ts';
import { guardLlm, type LlmGuardSettings } from '../../core/runtime/guarded-llm.ts';
import { createInstance, extensionContext } from './extension.ts';

/** A test, or a test file. */
export interface Cleanup {
  after(clean: () => unknown): void;
}

export interface TestLlm {
  readonly llm: LlmProvider;
  readonly warnings: readonly string[];
}

/** A provider as the core makes it, closed when the test is over. */
export async function createLlm(t: Cleanup, plugin: Plugin, options: object): Promise<TestLlm> {
  const context = extensionContext<'llm'>();
  const llm = await createInstance<'llm'>(plugin, options, context);
  t.after(() => llm[Symbol.asyncDispose]?.());
  return { llm, warnings: context.warnings };
}

export const guardSettings: LlmGuardSettings = {
  timeouts: { connect: '10s', first_token: '60s', between_tokens: '60s', total: '10m' },
  retries: { max: 2, max_delay: '30s' },
  max_answer_size: '4MiB',
};

export interface GuardWish {
  readonly timeouts?: Partial<LlmGuardSettings['timeouts']>;
  readonly retries?: Partial<LlmGuardSettings['retries']>;
  readonly max_answer_size?: string;
}

/** As the core wraps it. */
export function guard(llm: LlmProvider, wish: GuardWish = {}): LlmProvider {
  return guardLlm('default', llm, {
    timeouts: { ...guardSettings.timeouts, ...wish.timeouts },
    retries: { ...guardSettings.retries, ...wish.retries },
    max_answer_size: wish.max_answer_size ?? guardSettings.max_answer_size,
  });
}

/** aimock, which speaks the wire formats of OpenAI and Anthropic. */
export async function mockModels(t: Cleanup): Promise<LLMock> {
  const mock = new LLMock({ port: 0 });
  await mock.start();
  t.after(() => mock.stop());
  return mock;
}

export const mebibyte = bytes('1MiB');
