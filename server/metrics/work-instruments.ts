import type { Counter, Histogram } from 'prom-client';
import { metrics as names } from '../../core/telemetry/names.ts';
import type { Telemetry } from '../../core/telemetry/telemetry.ts';
import { CappedLabel, CappedUses } from './capped-label.ts';
import type { Makers } from './makers.ts';
import { Tally } from './tally.ts';

export interface HttpAnswer {
  readonly method: string;
  /** As it is routed: `/agents/{name}`. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
}

/** What is counted of the work that is done. */
export interface WorkInstruments extends Telemetry {
  httpAnswered(answer: HttpAnswer): void;
  pushed(result: 'delivered' | 'failed' | 'dropped'): void;
  recovered(result: 'resumed' | 'failed'): void;
  failed(component: string, errorType: string): void;
  /** Forgets what was counted of agents that are not there any more. */
  drop(agents: ReadonlySet<string>): Promise<void>;
}

/** What comes in so many seconds was not written while it came, and has no speed. */
const inOnePiece = 0.001;

/** To 120 s, as models and agents may take. */
const long = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120];
const short = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const speeds = [1, 5, 10, 20, 40, 60, 80, 100, 150, 200, 400];

/**
 * Labels have names of the configuration, of the code and of tools, and nothing that a caller has chosen; and of each no more
 * than so many.
 */
export function workInstruments({ counter, histogram }: Pick<Makers, 'counter' | 'histogram'>): WorkInstruments {
  const model = ['agent', 'provider', 'model'] as const;
  const tallied = <L extends string>(name: string, help: string, labels: readonly L[]) => {
    const tally = new Tally(labels);
    const instrument = counter(name, help, labels, function collect() {
      tally.flush(this);
    });
    return { inc: tally.add.bind(tally) as Tally<L>['add'], instrument };
  };
  const llmRequests = tallied(names.llmRequests, 'Questions to models.', [...model, 'status']);
  const llmDuration = histogram(names.llmDuration, 'How long models took to answer.', model, long);
  const llmFirst = histogram(names.llmFirstToken, 'Until the first event of an answer.', model, long);
  const llmSpeed = histogram(
    names.llmSpeed,
    'Tokens of an answer, by the time from its first event on.',
    model,
    speeds,
  );
  const llmTokens = tallied(names.llmTokens, 'Tokens that models have read and written.', [...model, 'type']);
  const agentRequests = tallied(names.agentRequests, 'Messages that agents have worked on.', ['agent', 'status']);
  const agentDuration = histogram(names.agentDuration, 'How long agents worked on a message.', ['agent'], long);
  const toolCalls = tallied(names.toolCalls, 'Calls of tools.', ['agent', 'tool', 'status']);
  const toolDuration = histogram(names.toolDuration, 'How long calls of tools took.', ['agent', 'tool'], long);
  const errors = tallied(names.errors, 'Errors, by where they were made.', ['component', 'error_type']);
  const storageCalls = tallied(names.storageOperations, 'Operations of databases.', ['backend', 'operation', 'status']);
  const storageDuration = histogram(
    names.storageDuration,
    'How long operations of databases took.',
    ['backend', 'operation'],
    short,
  );
  const httpRequests = tallied(names.httpRequests, 'Requests over HTTP.', ['method', 'route', 'status']);
  const httpDuration = histogram(
    names.httpDuration,
    'Until the last byte of an answer over HTTP.',
    ['method', 'route'],
    short,
  );
  const pushes = tallied(names.pushDeliveries, 'Notifications to webhooks.', ['result']);
  const recoveries = tallied(names.recoveredTasks, 'Tasks taken over from processes that have ended.', ['result']);
  // From the start: of a series that appears with its first event, that event is not seen.
  for (const result of ['delivered', 'failed', 'dropped']) pushes.inc({ result }, 0);
  for (const result of ['resumed', 'failed']) recoveries.inc({ result }, 0);

  const caps = { agent: new CappedLabel(500), tool: new CappedLabel(500), model: new CappedLabel(200) };
  const uses = { tool: new CappedUses(5_000), model: new CappedUses(2_000) };
  const userOf = (kind: 'tool' | 'model', agentName: string, name: string) => {
    const agent = caps.agent.value(agentName);
    return [agent, uses[kind].value(agent, caps[kind].value(name))] as const;
  };
  const errorTypes = new CappedLabel(200);
  const failed = (component: string, errorType: string) =>
    errors.inc({ component, error_type: errorTypes.value(errorType) });
  const byAgent = [
    llmRequests.instrument,
    llmDuration,
    llmFirst,
    llmSpeed,
    llmTokens.instrument,
    agentRequests.instrument,
    agentDuration,
    toolCalls.instrument,
    toolDuration,
  ] as readonly (Counter<'agent'> | Histogram<'agent'>)[];

  return {
    failed,
    agentAsked({ agent: name, status, seconds, errorType }) {
      const agent = caps.agent.value(name);
      agentRequests.inc({ agent, status });
      agentDuration.observe({ agent }, seconds);
      if (errorType !== undefined) failed('agent', errorType);
    },
    modelAsked({ agent: user, provider, model: name, status, seconds, firstSeconds, usage, errorType }) {
      const [agent, model] = userOf('model', user, name);
      const labels = { agent, provider, model };
      llmRequests.inc({ ...labels, status });
      llmDuration.observe(labels, seconds);
      if (firstSeconds !== undefined) llmFirst.observe(labels, firstSeconds);
      if (usage) {
        llmTokens.inc({ ...labels, type: 'prompt' }, usage.inputTokens);
        llmTokens.inc({ ...labels, type: 'completion' }, usage.outputTokens);
        const writing = seconds - (firstSeconds ?? 0);
        if (usage.outputTokens > 1 && writing > inOnePiece) llmSpeed.observe(labels, usage.outputTokens / writing);
      }
      if (errorType !== undefined) failed('llm', errorType);
    },
    toolCalled({ agent: user, tool: name, status, seconds, errorType }) {
      const [agent, tool] = userOf('tool', user, name);
      const labels = { agent, tool };
      toolCalls.inc({ ...labels, status });
      toolDuration.observe(labels, seconds);
      if (errorType !== undefined) failed('tool', errorType);
    },
    storageAsked({ backend, operation, status, seconds, errorType }) {
      storageCalls.inc({ backend, operation, status });
      storageDuration.observe({ backend, operation }, seconds);
      if (errorType !== undefined) failed('storage', errorType);
    },
    httpAnswered({ method, route, status, seconds }) {
      httpRequests.inc({ method, route, status });
      httpDuration.observe({ method, route }, seconds);
      if (status >= 500) failed('http', String(status));
    },
    pushed(result) {
      pushes.inc({ result });
      if (result !== 'delivered') failed('push', result);
    },
    recovered: (result) => recoveries.inc({ result }),
    async drop(agents) {
      for (const instrument of byAgent) {
        for (const labels of await seriesOf(instrument, agents)) instrument.remove(labels);
      }
      for (const agent of agents) for (const each of [caps.agent, uses.tool, uses.model]) each.forget(agent);
    },
  };
}

/** The labels of the series of some agents; of a histogram's buckets, once. */
async function seriesOf(
  instrument: Counter<'agent'> | Histogram<'agent'>,
  agents: ReadonlySet<string>,
): Promise<readonly Record<string, string>[]> {
  const { values } = await instrument.get();
  const found = new Map<string, Record<string, string>>();
  for (const { labels } of values) {
    const { le: _, ...own } = labels as Record<string, string>;
    if (agents.has(String(own['agent']))) found.set(JSON.stringify(own), own);
  }
  return [...found.values()];
}
