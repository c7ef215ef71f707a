import { invalidParams } from './errors.ts';
import {
  anything,
  base64,
  type Check,
  type Fields,
  flag,
  id,
  integer,
  list,
  nonEmptyList,
  object,
  oneOf,
  optionalId,
  record,
  text,
  timestamp,
} from './shape.ts';
import type { ProtocolVersion } from './version.ts';
import {
  createWebhook,
  legacyCreateWebhook,
  legacyDeleteWebhook,
  legacyGetWebhook,
  legacyWebhook,
  oneWebhook,
  webhook,
  webhooksOfTask,
} from './webhook-params.ts';

/**
 * What the parameters of each method must look like. The SDK reads leniently: it makes a string of a number, an empty
 * message of a missing one, and a TypeError of some mistakes. What is checked here is what it gets.
 */

export type { ProtocolVersion } from './version.ts';

export interface Method {
  readonly version: ProtocolVersion;
  readonly params: Check;
  /** Whether a request without parameters is fine. */
  readonly paramsOptional?: true;
}

const historyLength = integer(0);

const contents = ['text', 'raw', 'url', 'data'] as const;

const partFields = object({
  optional: { text, raw: base64, url: text, data: anything, metadata: record, filename: text, mediaType: text },
});

const part: Check = (value, path) => {
  partFields(value, path);
  const given = contents.filter((name) => (value as Fields)[name] !== undefined && (value as Fields)[name] !== null);
  if (given.length === 0) throw invalidParams(path, `has no content: it needs one of ${contents.join(', ')}`);
  if (given.length > 1) throw invalidParams(path, `has more than one content: ${given.join(', ')}`);
};

/** The versions name roles and parts differently, and agree on the rest. */
const message = (role: Check, part: Check): Check =>
  object({
    required: { messageId: id, role, parts: nonEmptyList(part) },
    optional: {
      contextId: optionalId,
      taskId: optionalId,
      metadata: record,
      extensions: list(text),
      referenceTaskIds: list(id),
    },
  });

const send: Check = object({
  required: {
    message: message(oneOf(['ROLE_USER'], [1]), part),
  },
  optional: {
    tenant: text,
    metadata: record,
    configuration: object({
      optional: {
        acceptedOutputModes: list(text),
        historyLength,
        returnImmediately: flag,
        taskPushNotificationConfig: webhook,
      },
    }),
  },
});

const task = object({ required: { id }, optional: { tenant: text, historyLength, metadata: record } });

const query = object({
  optional: {
    tenant: text,
    contextId: optionalId,
    status: oneOf(
      [
        'TASK_STATE_SUBMITTED',
        'TASK_STATE_WORKING',
        'TASK_STATE_COMPLETED',
        'TASK_STATE_FAILED',
        'TASK_STATE_CANCELED',
        'TASK_STATE_INPUT_REQUIRED',
        'TASK_STATE_REJECTED',
        'TASK_STATE_AUTH_REQUIRED',
      ],
      ['TASK_STATE_UNSPECIFIED', 0, 1, 2, 3, 4, 5, 6, 7, 8],
    ),
    pageSize: integer(1, 100),
    pageToken: text,
    historyLength,
    statusTimestampAfter: timestamp,
    includeArtifacts: flag,
  },
});

const extended = object({ optional: { tenant: text } });

const legacyText = object({ required: { text } });
const legacyData = object({ required: { data: record } });
const legacyFile = object({
  required: { file: object({ optional: { bytes: base64, uri: text, mimeType: text, name: text } }) },
});
const legacyKind = object({ required: { kind: oneOf(['text', 'file', 'data']) }, optional: { metadata: record } });

const legacyPart: Check = (value, path) => {
  legacyKind(value, path);
  const { kind, file } = value as { readonly kind: string; readonly file?: Fields };
  if (kind === 'text') legacyText(value, path);
  else if (kind === 'data') legacyData(value, path);
  else {
    legacyFile(value, path);
    if (typeof file?.['bytes'] !== 'string' && typeof file?.['uri'] !== 'string') {
      throw invalidParams(`${path}.file`, 'has no content: it needs one of bytes, uri');
    }
  }
};

const legacySend: Check = object({
  required: {
    message: message(oneOf(['user']), legacyPart),
  },
  optional: {
    metadata: record,
    configuration: object({
      optional: {
        acceptedOutputModes: list(text),
        historyLength,
        blocking: flag,
        pushNotificationConfig: legacyWebhook,
      },
    }),
  },
});

export const methods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['SendMessage', { version: '1.0', params: send }],
  ['SendStreamingMessage', { version: '1.0', params: send }],
  ['GetTask', { version: '1.0', params: task }],
  ['ListTasks', { version: '1.0', params: query }],
  ['CancelTask', { version: '1.0', params: task }],
  ['SubscribeToTask', { version: '1.0', params: task }],
  ['CreateTaskPushNotificationConfig', { version: '1.0', params: createWebhook }],
  ['GetTaskPushNotificationConfig', { version: '1.0', params: oneWebhook }],
  ['ListTaskPushNotificationConfigs', { version: '1.0', params: webhooksOfTask }],
  ['DeleteTaskPushNotificationConfig', { version: '1.0', params: oneWebhook }],
  ['GetExtendedAgentCard', { version: '1.0', params: extended, paramsOptional: true }],
  ['message/send', { version: '0.3', params: legacySend }],
  ['message/stream', { version: '0.3', params: legacySend }],
  ['tasks/get', { version: '0.3', params: task }],
  ['tasks/cancel', { version: '0.3', params: task }],
  ['tasks/resubscribe', { version: '0.3', params: task }],
  ['tasks/pushNotificationConfig/set', { version: '0.3', params: legacyCreateWebhook }],
  ['tasks/pushNotificationConfig/get', { version: '0.3', params: legacyGetWebhook }],
  ['tasks/pushNotificationConfig/list', { version: '0.3', params: task }],
  ['tasks/pushNotificationConfig/delete', { version: '0.3', params: legacyDeleteWebhook }],
  ['agent/getAuthenticatedExtendedCard', { version: '0.3', params: record, paramsOptional: true }],
]);
