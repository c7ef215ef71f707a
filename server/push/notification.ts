import { randomUUID } from 'node:crypto';
import type { TaskPushNotificationConfig } from '@a2a-js/sdk';
import { V03PushNotificationSerializer } from '@a2a-js/sdk/compat/v0_3/server';
import { type PushNotificationSerializer, V1PushNotificationSerializer } from '@a2a-js/sdk/server';
import type { TaskEvent } from '../../core/task/event.ts';
import { eventToSdk } from '../a2a/codec.ts';
import type { ProtocolVersion } from '../a2a/version.ts';
import { version as hectorVersion } from '../version.ts';

/** One request to a webhook, the same however often it is sent. */
export interface Notification {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const serializers: Readonly<Record<ProtocolVersion, PushNotificationSerializer>> = {
  '1.0': new V1PushNotificationSerializer(),
  '0.3': new V03PushNotificationSerializer(),
};

/** 1.0 tells what has happened; 0.3 knows tasks only. */
export function notification(
  event: TaskEvent,
  version: ProtocolVersion,
  { token, authentication }: TaskPushNotificationConfig,
): Notification {
  const { body, contentType } = serializers[version].serialize(eventToSdk(event));
  const { scheme, credentials } = authentication ?? {};
  return {
    body,
    headers: {
      'content-type': contentType,
      'user-agent': `hector/${hectorVersion}`,
      'a2a-version': version,
      'idempotency-key': randomUUID(),
      ...(token && { 'x-a2a-notification-token': token }),
      ...(scheme && credentials && { authorization: `${scheme} ${credentials}` }),
    },
  };
}
