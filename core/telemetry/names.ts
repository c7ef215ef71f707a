/**
 * Every name under which Hector is observed, and no other file spells one. Of spans: OpenTelemetry's semantic conventions for
 * generative AI, HTTP and databases (https://opentelemetry.io/docs/specs/semconv). Of metrics: without the namespace, which is
 * configured.
 */
export const attributes = {
  operation: 'gen_ai.operation.name',
  provider: 'gen_ai.provider.name',
  conversation: 'gen_ai.conversation.id',
  agentName: 'gen_ai.agent.name',
  requestModel: 'gen_ai.request.model',
  requestTemperature: 'gen_ai.request.temperature',
  requestMaxTokens: 'gen_ai.request.max_tokens',
  requestStream: 'gen_ai.request.stream',
  outputType: 'gen_ai.output.type',
  responseModel: 'gen_ai.response.model',
  responseId: 'gen_ai.response.id',
  finishReasons: 'gen_ai.response.finish_reasons',
  timeToFirstChunk: 'gen_ai.response.time_to_first_chunk',
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  inputMessages: 'gen_ai.input.messages',
  outputMessages: 'gen_ai.output.messages',
  toolName: 'gen_ai.tool.name',
  toolType: 'gen_ai.tool.type',
  toolDescription: 'gen_ai.tool.description',
  toolArguments: 'gen_ai.tool.call.arguments',
  toolResult: 'gen_ai.tool.call.result',
  errorType: 'error.type',
  task: 'hector.task.id',
  configSource: 'hector.config.source',
  httpMethod: 'http.request.method',
  httpRoute: 'http.route',
  httpStatus: 'http.response.status_code',
  urlPath: 'url.path',
  urlScheme: 'url.scheme',
  serverAddress: 'server.address',
  requestId: 'hector.request.id',
  database: 'db.system.name',
  databaseOperation: 'db.operation.name',
  databaseCollection: 'db.collection.name',
} as const;

/** Values of `gen_ai.operation.name`, and the first words of spans. */
export const operations = { agent: 'invoke_agent', chat: 'chat', tool: 'execute_tool' } as const;

export const metrics = {
  llmRequests: 'llm_requests_total',
  llmDuration: 'llm_request_duration_seconds',
  llmFirstToken: 'llm_time_to_first_token_seconds',
  llmSpeed: 'llm_output_tokens_per_second',
  llmTokens: 'llm_tokens_total',
  agentRequests: 'agent_requests_total',
  agentDuration: 'agent_request_duration_seconds',
  toolCalls: 'tool_calls_total',
  toolDuration: 'tool_call_duration_seconds',
  errors: 'errors_total',
  storageOperations: 'storage_operations_total',
  storageDuration: 'storage_operation_duration_seconds',
  httpRequests: 'http_requests_total',
  httpDuration: 'http_request_duration_seconds',
  inFlight: 'inflight_requests',
  runningTasks: 'tasks_running',
  runningTasksLimit: 'tasks_running_limit',
  httpInFlight: 'http_inflight_requests',
  httpInFlightLimit: 'http_inflight_requests_limit',
  pushDeliveries: 'push_deliveries_total',
  recoveredTasks: 'tasks_recovered_total',
  configSuccessful: 'config_last_reload_successful',
  configSucceededAt: 'config_last_reload_success_timestamp_seconds',
  configReloads: 'config_reloads_total',
  configDuration: 'config_reload_duration_seconds',
  configWatchToSwap: 'config_watch_to_swap_seconds',
  configInfo: 'config_info',
  configConnected: 'config_provider_connected',
  configLastContact: 'config_provider_last_contact_seconds',
  configDraining: 'config_generations_draining',
  configExpired: 'config_generations_expired_total',
  buildInfo: 'build_info',
} as const;

/** Every label of a metric, those of the process among them: a label of the configuration must be another one. */
export const labels: ReadonlySet<string> = new Set(
  (
    'agent backend component error_type generation hash kind le major method minor model operation patch provider result ' +
    'revision route space status tool type version'
  ).split(' '),
);
