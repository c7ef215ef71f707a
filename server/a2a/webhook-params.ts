import { invalidParams } from './errors.ts';
import { type Check, id, integer, nonEmptyList, object, optionalId, record, text } from './shape.ts';

/** What the configuration of a webhook must look like, and what asks for one: see params.ts. */

const maxUrlLength = 2_048;

const url: Check = (value, path) => {
  text(value, path);
  const given = value as string;
  if (given.length > maxUrlLength) throw invalidParams(path, `is longer than ${maxUrlLength} characters`);
  const parsed = URL.canParse(given) ? new URL(given) : undefined;
  if (parsed?.protocol !== 'https:' && parsed?.protocol !== 'http:') {
    throw invalidParams(path, 'must be a URL that begins with https:// or http://');
  }
  if (parsed.username !== '' || parsed.password !== '') {
    throw invalidParams(path, 'must hold no credentials: they belong into "authentication"');
  }
};

const maxHeaderLength = 4_096;

/** What is sent as the value of a header. */
const headerValue: Check = (value, path) => {
  text(value, path);
  const given = value as string;
  if (given.length > maxHeaderLength) throw invalidParams(path, `is longer than ${maxHeaderLength} characters`);
  if (!/^[\x20-\x7e]*$/.test(given)) throw invalidParams(path, 'has characters that a header cannot hold');
};

/** The first word of an `Authorization` header: `Bearer`. */
const scheme: Check = (value, path) => {
  text(value, path);
  if (!/^[\w!#$%&'*+.^`|~-]{1,64}$/.test(value as string)) {
    throw invalidParams(path, 'must be the name of an HTTP authentication scheme');
  }
};

const tenant = text;

const fields = {
  id: optionalId,
  token: headerValue,
  authentication: object({ required: { scheme }, optional: { credentials: headerValue } }),
};

export const webhook = object({ required: { url }, optional: { tenant, taskId: optionalId, ...fields } });
export const createWebhook = object({ required: { taskId: id, url }, optional: { tenant, ...fields } });
export const oneWebhook = object({ required: { taskId: id, id }, optional: { tenant } });
export const webhooksOfTask = object({
  required: { taskId: id },
  optional: { tenant, pageSize: integer(0, 1_000), pageToken: text },
});

export const legacyWebhook = object({
  required: { url },
  optional: {
    ...fields,
    authentication: object({ required: { schemes: nonEmptyList(scheme) }, optional: { credentials: headerValue } }),
  },
});
export const legacyCreateWebhook = object({ required: { taskId: id, pushNotificationConfig: legacyWebhook } });
export const legacyGetWebhook = object({
  required: { id },
  optional: { pushNotificationConfigId: optionalId, metadata: record },
});
export const legacyDeleteWebhook = object({
  required: { id, pushNotificationConfigId: id },
  optional: { metadata: record },
});
