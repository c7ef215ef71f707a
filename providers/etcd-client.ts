import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { CallOptions } from '@grpc/grpc-js';
import type { Etcd3, IOptions } from 'etcd3';
import { errorCode, errorMessage, HectorError } from '../core/index.ts';
import { grpcStatus } from './etcd-errors.ts';

/** Paths of PEM files. They are read for every new client, so renewed certificates are taken up. */
export interface EtcdTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** The name in the server's certificate, if it is not the one in the address. */
  readonly server_name?: string;
}

/** No message of more bytes is taken. */
export const maxMessageBytes = 64 * 1024 ** 2;

/** What a condition of a transaction looks at. etcd3's own list of them is loaded with etcd3. */
export const compareTarget = { version: 0, mod: 2, value: 3, lease: 4 } as const;

export interface EtcdClient {
  readonly etcd: Etcd3;
  /** What is to go with one call: words for the server, and its end when the signal aborts. */
  callOptions(metadata: Readonly<Record<string, string>>, signal: AbortSignal): CallOptions;
  close(): void;
}

/** A client of one member, for its calls one by one: what etcd3 does beyond that is switched off. */
export async function connectEtcd(address: string, { server_name, ...files }: EtcdTls): Promise<EtcdClient> {
  const credentials = address.startsWith('https:') ? await certificates(files) : undefined;
  const [{ Etcd3 }, { noop }, { InterceptingCall }] = await Promise.all([
    import('etcd3'),
    import('cockatiel'),
    import('@grpc/grpc-js'),
  ]);
  const etcd = new Etcd3({
    hosts: address,
    ...(credentials ? { credentials } : {}),
    // A call that may have had an effect is not repeated.
    faultHandling: { host: () => noop, global: noop },
    grpcOptions: {
      'grpc.enable_retries': 0,
      // Not the connection that another client has given up.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.service_config_disable_resolution': 1,
      'grpc.enable_http_proxy': 0,
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
      'grpc-node.flow_control_window': 4 * 1024 ** 2,
      ...(server_name === undefined
        ? {}
        : { 'grpc.ssl_target_name_override': server_name, 'grpc.default_authority': server_name }),
    },
  });
  return {
    etcd,
    callOptions: (words, signal) => ({
      interceptors: [
        (options, next) => {
          const call = new InterceptingCall(next(options), {
            start(metadata, listener, go) {
              for (const [name, word] of Object.entries(words)) metadata.set(name, word);
              go(metadata, listener);
              // etcd3 takes "cancelled" for a sign that the connection is lost.
              const abort = () => call.cancelWithStatus(grpcStatus.failedPrecondition, 'the call was aborted');
              if (signal.aborted) abort();
              else signal.addEventListener('abort', abort, { once: true });
            },
          });
          return call;
        },
      ],
    }),
    close: () => etcd.close(),
  };
}

type Credentials = NonNullable<IOptions['credentials']>;

async function certificates(paths: Omit<EtcdTls, 'server_name'>): Promise<Credentials> {
  const files: { ca?: Buffer; cert?: Buffer; key?: Buffer } = {};
  for (const name of ['ca', 'cert', 'key'] as const) {
    const path = paths[name];
    if (path !== undefined) files[name] = await pem(name, path);
  }
  try {
    createSecureContext(files);
  } catch (cause) {
    throw new HectorError(
      'config_unreadable',
      `The files that "tls" names for etcd (${Object.values(paths).join(', ')}) are not certificates and their key in ` +
        `PEM: ${errorMessage(cause)}.`,
      { cause },
    );
  }
  return {
    // Where there is none, gRPC takes the authorities that Node.js knows; the type of etcd3 does not say so.
    rootCertificate: files.ca as Buffer,
    ...(files.cert && files.key ? { certChain: files.cert, privateKey: files.key } : {}),
  };
}

async function pem(option: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new HectorError(
      'config_unreadable',
      `The file ${path} that "tls.${option}" names for etcd cannot be read (${errorCode(error) ?? errorMessage(error)}).`,
      { cause: error },
    );
  }
}
