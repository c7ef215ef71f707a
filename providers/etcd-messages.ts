import { type Message, many, message, one } from './etcd-protobuf.ts';

/**
 * The part of etcd's API (etcd 3.4 and newer) that Hector uses, with the names and numbers of
 * https://github.com/etcd-io/etcd/blob/main/api/etcdserverpb/rpc.proto.
 */
export interface Method<Request extends Message, Response extends Message> {
  readonly path: string;
  readonly request: Request;
  readonly response: Response;
}

const method = <Request extends Message, Response extends Message>(
  path: string,
  request: Request,
  response: Response,
): Method<Request, Response> => ({ path: `/etcdserverpb.${path}`, request, response });

const header = message({ revision: one(3, 'int64') });

const keyValue = message({ key: one(1, 'bytes'), mod_revision: one(3, 'int64'), value: one(5, 'bytes') });

const rangeRequest = message({
  key: one(1, 'bytes'),
  range_end: one(2, 'bytes'),
  limit: one(3, 'int64'),
  revision: one(4, 'int64'),
  keys_only: one(8, 'bool'),
});

const putRequest = message({ key: one(1, 'bytes'), value: one(2, 'bytes'), lease: one(3, 'int64') });

const deleteRangeRequest = message({ key: one(1, 'bytes'), range_end: one(2, 'bytes') });

const requestOp = message({
  request_put: one(2, putRequest),
  request_delete_range: one(3, deleteRangeRequest),
});

/** `result` is left at its zero, which is "equal". */
const compare = message({
  target: one(2, 'enum'),
  key: one(3, 'bytes'),
  version: one(4, 'int64'),
  mod_revision: one(6, 'int64'),
  value: one(7, 'bytes'),
  lease: one(8, 'int64'),
});

export const compareTarget = { version: 0, mod: 2, value: 3, lease: 4 } as const;

const watchRequest = message({
  create_request: one(
    1,
    message({
      key: one(1, 'bytes'),
      range_end: one(2, 'bytes'),
      start_revision: one(3, 'int64'),
      progress_notify: one(4, 'bool'),
      fragment: one(8, 'bool'),
    }),
  ),
  progress_request: one(3, message({})),
});

const watchResponse = message({
  created: one(3, 'bool'),
  canceled: one(4, 'bool'),
  compact_revision: one(5, 'int64'),
  cancel_reason: one(6, 'string'),
  events: many(11, message({ kv: one(2, message({ mod_revision: one(3, 'int64') })) })),
});

export const range = method(
  'KV/Range',
  rangeRequest,
  message({ header: one(1, header), kvs: many(2, keyValue), more: one(3, 'bool') }),
);

export const put = method('KV/Put', putRequest, message({}));

export const transaction = method(
  'KV/Txn',
  message({ compare: many(1, compare), success: many(2, requestOp), failure: many(3, requestOp) }),
  message({ header: one(1, header), succeeded: one(2, 'bool') }),
);

export const watch = method('Watch/Watch', watchRequest, watchResponse);

export const leaseGrant = method(
  'Lease/LeaseGrant',
  message({ TTL: one(1, 'int64') }),
  message({ ID: one(2, 'int64') }),
);

export const leaseRevoke = method('Lease/LeaseRevoke', message({ ID: one(1, 'int64') }), message({}));

/** A stream of etcd's, of which one message each way is used. */
export const leaseKeepAlive = method(
  'Lease/LeaseKeepAlive',
  message({ ID: one(1, 'int64') }),
  message({ TTL: one(3, 'int64') }),
);

export const authenticate = method(
  'Auth/Authenticate',
  message({ name: one(1, 'string'), password: one(2, 'string') }),
  message({ token: one(2, 'string') }),
);
