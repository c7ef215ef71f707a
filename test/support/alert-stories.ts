import type { Labels } from './exposition.ts';

/** What becomes of the series that have these labels: other values over time, or other labels. */
export interface Change {
  readonly name: string;
  readonly labels?: Labels;
  /** In promtool's words: from, step, how often. */
  readonly values?: string;
  readonly relabel?: Labels;
  readonly drop?: true;
}

/** What makes an alert fire, what comes near to it and does not, and with which labels it fires. */
export interface Story {
  readonly fires: readonly Change[];
  readonly silent: readonly Change[];
  readonly labels: Labels;
}

const minutes = 240;
const from = (start: number, perMinute: number) => `${start}+${perMinute}x${minutes}`;
const always = (value: number) => `${value}x${minutes}`;

const here = { job: 'hector', instance: 'one:8080' };
const there = { job: 'hector', instance: 'two:8080' };
const critical = { severity: 'critical' };
const warning = { severity: 'warning' };
const worker = { ...here, agent: 'worker' };
const model = { agent: 'worker', provider: 'metered', model: 'metered-1' };
const ofModel = { job: 'hector', provider: 'metered', model: 'metered-1' };

const grows = (name: string, labels: Labels, perMinute: number): Change => ({
  name,
  labels: { ...here, ...labels },
  values: from(0, perMinute),
});

const is = (name: string, value: number, labels: Labels = here): Change => ({ name, labels, values: always(value) });

/** As if so many answers in a minute took longer than `slowerThan` and none took longer than the next bound. */
const takes = (name: string, labels: Labels, bounds: readonly string[], fast: readonly string[]): Change[] => [
  ...fast.map((le) => grows(`${name}_bucket`, { ...labels, le }, 0)),
  ...bounds.map((le) => grows(`${name}_bucket`, { ...labels, le }, 60)),
];

const shares = (name: string, labels: Labels, good: number, bad: number): Change[] => [
  grows(name, { ...labels, status: 'success' }, good),
  grows(name, { ...labels, status: 'error' }, bad),
];

const long = ['0.05', '0.1', '0.25', '0.5', '1', '2', '5', '10', '20', '30', '60', '120', '+Inf'];
const above = (bound: string) => long.slice(long.indexOf(bound) + 1);
const upTo = (bound: string) => long.slice(0, long.indexOf(bound) + 1);

/** Every alert of deploy/prometheus/alerts.yml. */
export const stories: Readonly<Record<string, Story>> = {
  HighErrorRate: {
    fires: [grows('hector_agent_requests_total', { agent: 'worker', status: 'error' }, 12)],
    silent: [grows('hector_agent_requests_total', { agent: 'worker', status: 'error' }, 3)],
    labels: { ...worker, status: 'error' },
  },
  HighLatency: {
    fires: takes('hector_agent_request_duration_seconds', { agent: 'worker' }, above('10'), upTo('10')),
    silent: takes('hector_agent_request_duration_seconds', { agent: 'worker' }, above('5'), upTo('5')),
    labels: worker,
  },
  HighTokenUsage: {
    fires: [grows('hector_llm_tokens_total', { ...model, type: 'prompt' }, 90_000_000)],
    silent: [grows('hector_llm_tokens_total', { ...model, type: 'prompt' }, 10_000)],
    labels: { ...here, ...model, type: 'prompt' },
  },
  HectorDown: { fires: [is('up', 0)], silent: [is('up', 1)], labels: { ...here, ...critical } },
  HectorNotServing: {
    fires: [{ name: 'hector_config_info', labels: here, drop: true }],
    silent: [is('up', 0), { name: 'hector_config_info', labels: here, drop: true }],
    labels: { ...here, ...critical },
  },
  HectorHttpErrors: {
    fires: [
      grows('hector_http_requests_total', { route: '/agents/{name}', status: '200' }, 90),
      grows('hector_http_requests_total', { route: '/agents/{name}/message:send', status: '503' }, 10),
    ],
    silent: [
      grows('hector_http_requests_total', { route: '/agents/{name}', status: '200' }, 90),
      grows('hector_http_requests_total', { route: '(other)', status: '404' }, 90),
    ],
    labels: { job: 'hector', route: '/agents/{name}/message:send', ...critical },
  },
  HectorNearLimit: {
    fires: [is('hector_tasks_running', 8_500)],
    silent: [is('hector_tasks_running', 7_500), is('hector_http_inflight_requests', 7_500)],
    labels: { ...here, ...warning },
  },
  HectorEventLoopSlow: {
    fires: [is('nodejs_eventloop_lag_p99_seconds', 0.4)],
    silent: [is('nodejs_eventloop_lag_p99_seconds', 0.1)],
    labels: { ...here, ...warning },
  },
  HectorStorageErrors: {
    fires: shares('hector_storage_operations_total', { backend: 'sqlite' }, 60, 6),
    silent: [grows('hector_storage_operations_total', { backend: 'sqlite', status: 'success' }, 60)],
    labels: { job: 'hector', backend: 'sqlite', ...critical },
  },
  HectorConfigReloadFailing: {
    fires: [is('hector_config_last_reload_successful', 0)],
    // A server that has read none.
    silent: [is('hector_config_last_reload_successful', 0), is('hector_config_reloads_total', 0)],
    labels: { ...here, ...warning },
  },
  HectorConfigsDiffer: {
    fires: [{ name: 'hector_config_info', labels: there, relabel: { hash: 'beef' } }],
    // As it is while a change goes round.
    silent: [{ name: 'hector_config_info', labels: there, relabel: { hash: 'beef' }, values: '_x118 1x5 _x117' }],
    labels: { job: 'hector', ...warning },
  },
  HectorConfigSourceUnreachable: {
    fires: [is('hector_config_provider_connected', 0)],
    silent: [is('hector_config_provider_connected', 1)],
    labels: { ...here, provider: 'file', ...warning },
  },
  HectorOldConfigurationsHeld: {
    fires: [is('hector_config_generations_draining', 5)],
    silent: [is('hector_config_generations_draining', 2)],
    labels: { ...here, ...warning },
  },
  HectorWorkExpired: {
    fires: [grows('hector_config_generations_expired_total', {}, 1)],
    silent: [is('hector_config_generations_expired_total', 7)],
    labels: { ...here, ...warning },
  },
  HectorModelSlow: {
    fires: takes('hector_llm_request_duration_seconds', model, above('30'), upTo('30')),
    silent: takes('hector_llm_request_duration_seconds', model, above('20'), upTo('20')),
    labels: { ...ofModel, ...warning },
  },
  HectorModelErrors: {
    fires: shares('hector_llm_requests_total', model, 60, 12),
    silent: shares('hector_llm_requests_total', model, 60, 3),
    labels: { ...ofModel, ...critical },
  },
  HectorToolErrors: {
    fires: [
      grows('hector_tool_calls_total', { tool: 'bad' }, 5),
      grows('hector_tool_calls_total', { tool: 'good' }, 5),
    ],
    silent: [grows('hector_tool_calls_total', { tool: 'good' }, 5)],
    labels: { job: 'hector', tool: 'bad', ...warning },
  },
  HectorPushFailing: {
    fires: [
      grows('hector_push_deliveries_total', { result: 'delivered' }, 10),
      grows('hector_push_deliveries_total', { result: 'failed' }, 10),
    ],
    silent: [
      grows('hector_push_deliveries_total', { result: 'delivered' }, 100),
      grows('hector_push_deliveries_total', { result: 'failed' }, 5),
    ],
    labels: { job: 'hector', ...warning },
  },
  HectorTokensPerHour: {
    fires: [grows('hector_llm_tokens_total', { ...model, type: 'prompt' }, 20_000)],
    silent: [grows('hector_llm_tokens_total', { ...model, type: 'prompt' }, 5_000)],
    labels: { job: 'hector', agent: 'worker', ...warning },
  },
};

export const instances: readonly Labels[] = [here, there];
/** A value for all that nothing becomes of. */
export const unchanged = always;
