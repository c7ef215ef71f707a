import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** An authority that has signed nothing. */
  readonly otherCa: string;
}

/**
 * For a day: an authority, the server's certificate (`server.crt` and `server.key`, for 127.0.0.1 and a host) and a client's,
 * and an authority that has nothing to do with them.
 */
export async function makeCertificates(folder: string, host: string): Promise<Certificates> {
  const path = (name: string) => join(folder, name);
  const openssl = (...args: readonly string[]) => run('openssl', args, { cwd: folder });
  const elliptic = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  for (const name of ['ca', 'other-ca'])
    await openssl(
      ...['req', '-x509', ...elliptic, '-days', '1', '-subj', `/CN=${name}`],
      ...['-keyout', `${name}.key`, '-out', `${name}.crt`],
    );
  const extensions = `extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:${host},IP:127.0.0.1\n`;
  await writeFile(path('extensions'), extensions);
  for (const name of ['server', 'client']) {
    await openssl('req', ...elliptic, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    await openssl(
      ...['x509', '-req', '-days', '1', '-in', `${name}.csr`, '-out', `${name}.crt`, '-extfile', 'extensions'],
      ...['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'],
    );
  }
  return { ca: path('ca.crt'), cert: path('client.crt'), key: path('client.key'), otherCa: path('other-ca.crt') };
}
