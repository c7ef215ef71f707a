import { duration, filePath, type Static, Type } from '../../../core/index.ts';

const text = (description: string) => Type.Optional(Type.String({ minLength: 1, description }));

export const MongodbOptions = Type.Object(
  {
    uri: Type.Optional(
      Type.String({
        minLength: 1,
        writeOnly: true,
        description: 'mongodb:// or mongodb+srv://, instead of host, port, user, password, auth_source and tls',
      }),
    ),
    host: text('The server; of a replica set, give the uri'),
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535, description: 'Default: 27017' })),
    database: text('The database; default: the one that the uri names, else hector'),
    user: text('Absent: without authentication'),
    password: Type.Optional(
      Type.String({ writeOnly: true, description: 'Best written as a reference to an environment variable or a file' }),
    ),
    auth_source: text('The database that knows the user; default: admin'),
    tls: Type.Optional(Type.Boolean({ description: 'Whether the connection is encrypted; default: false' })),
    tls_ca: Type.Optional(filePath('PEM file with the authorities that may sign the server, for tls')),
    tls_cert_key: Type.Optional(filePath('PEM file with the certificate that Hector shows, and its key, for tls')),
    max_conns: Type.Integer({ minimum: 1, default: 25, description: 'Connections to each server' }),
    connect_timeout: duration('5s', 'How long it may take to connect, or to find a server that can be used'),
    operation_timeout: duration('10s', 'How long the server may take over one operation'),
  },
  { additionalProperties: false },
);
export type MongodbOptions = Static<typeof MongodbOptions>;
