import { connect } from 'node:tls';
import type { ProcessService } from './service.ts';

/** The public name of what is behind the proxies. It is in their certificates and in no DNS. */
export const proxyHost = 'agents.test';

/** A real reverse proxy with TLS, from a file of deploy/. */
export interface ReverseProxy extends ProcessService {
  readonly name: string;
  /** With its port: `https://agents.test:…`. */
  readonly origin: string;
  /** Where plain HTTP is redirected. */
  readonly httpPort: number;
  /** Of the authority that signed its certificate. */
  readonly ca: Buffer;
}

/** Whether a TLS connection can be made, under the proxy's name. */
export function tlsAnswers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', servername: proxyHost, rejectUnauthorized: false });
    const settle = (answers: boolean) => {
      socket.destroy();
      resolve(answers);
    };
    socket.once('secureConnect', () => settle(true)).once('error', () => settle(false));
  });
}

/** What is not there cannot be replaced, and then the file says something else than the test takes it to say. */
export function replaceEach(text: string, replacements: readonly (readonly [from: string, to: string])[]): string {
  return replacements.reduce((changed, [from, to]) => {
    if (!changed.includes(from)) throw new Error(`There is no "${from}" in:\n${changed}`);
    return changed.replaceAll(from, () => to);
  }, text);
}
