import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Certificates, makeCertificates } from './certificates.ts';
import { findProgram, foundOrInstalled, freePort, type Service, serviceFolder, startService } from './service.ts';

const run = promisify(execFile);

interface Programs {
  readonly etcd: string;
  readonly etcdctl: string;
}

/** A real etcd, 3.4 or newer: ETCD and ETCDCTL name programs of one's own. */
async function find(): Promise<Programs | undefined> {
  const etcd = await findProgram(process.env['ETCD'] ?? 'etcd');
  const etcdctl = await findProgram(process.env['ETCDCTL'] ?? 'etcdctl');
  return etcd && etcdctl ? { etcd, etcdctl } : undefined;
}

const found = await foundOrInstalled(find, 'etcd-server', 'etcd-client');

export const etcdctlProgram = (): string => (found as Programs).etcdctl;

/** What is missing, for `skip`; nothing where etcd is there. */
export const etcdMissing = found
  ? false
  : 'etcd is not installed: apt-get install etcd-server etcd-client, or set HECTOR_TEST_INSTALL';

export interface Etcd extends Service {
  readonly url: string;
  /** The server takes only those who show the certificate. It is for 127.0.0.1 and for `etcd.test`. */
  readonly certificates: Certificates | undefined;
  /** `etcdctl`, as root where there is authentication. Gives what it prints. */
  ctl(...args: readonly string[]): Promise<string>;
  /** The same with a text as its input: `put KEY` reads the value there. */
  ctlWithInput(input: string | Buffer, ...args: readonly string[]): Promise<string>;
}

export interface EtcdOptions {
  readonly tls?: boolean;
  /** Root's password is `root`. Add users by `ctl`. */
  readonly auth?: boolean;
  /** More of the command line. */
  readonly args?: readonly string[];
}

export async function startEtcd(options: EtcdOptions = {}): Promise<Etcd> {
  const member = await memberPorts('etcd-0');
  const etcd = await startMember(member, [member], options);
  if (options.auth) {
    try {
      await etcd.ctl('user', 'add', 'root:root');
      await etcd.ctl('user', 'grant-role', 'root', 'root');
      await etcd.ctl('auth', 'enable');
    } catch (error) {
      await etcd[Symbol.asyncDispose]();
      throw error;
    }
  }
  return etcd;
}

export interface EtcdCluster extends AsyncDisposable {
  readonly members: readonly Etcd[];
  /** The member that leads now. */
  leader(): Promise<Etcd>;
}

export async function startEtcdCluster(): Promise<EtcdCluster> {
  const ports = await Promise.all(['etcd-0', 'etcd-1', 'etcd-2'].map(memberPorts));
  // None answers before most of them are there.
  const starts = await Promise.allSettled(ports.map((member) => startMember(member, ports, {})));
  const members = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  const dispose = async () => {
    await Promise.all(members.map((member) => member[Symbol.asyncDispose]()));
  };
  const failure = starts.find((start) => start.status === 'rejected');
  if (failure) {
    await dispose();
    throw failure.reason;
  }
  return {
    members,
    async leader() {
      for (const member of members) {
        const [status] = JSON.parse(await member.ctl('endpoint', 'status', '-w', 'json')) as {
          Status: { header: { member_id: number }; leader: number };
        }[];
        if (status && status.Status.header.member_id === status.Status.leader) return member;
      }
      throw new Error('No member leads');
    },
    [Symbol.asyncDispose]: dispose,
  };
}

interface MemberPorts {
  readonly name: string;
  readonly client: number;
  readonly peer: number;
  readonly metrics: number;
}

async function memberPorts(name: string): Promise<MemberPorts> {
  const [client, peer, metrics] = await Promise.all([freePort(), freePort(), freePort()]);
  return { name, client, peer, metrics };
}

async function startMember(
  member: MemberPorts,
  members: readonly MemberPorts[],
  { tls = false, auth = false, args = [] }: EtcdOptions,
): Promise<Etcd> {
  const programs = found;
  if (!programs) throw new Error(String(etcdMissing));
  const folder = await serviceFolder('etcd');
  const certificates = tls ? await makeCertificates(folder, 'etcd.test') : undefined;
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${member.client}`;
  const peer = (port: number) => `http://127.0.0.1:${port}`;
  const service = await startService({
    name: member.name,
    port: member.client,
    folder,
    command: () => ({
      program: programs.etcd,
      args: [
        ...['--name', member.name, '--data-dir', join(folder, 'data'), '--logger', 'zap', '--log-level', 'warn'],
        ...['--listen-client-urls', url, '--advertise-client-urls', url],
        ...['--listen-peer-urls', peer(member.peer), '--initial-advertise-peer-urls', peer(member.peer)],
        ...['--initial-cluster', members.map((each) => `${each.name}=${peer(each.peer)}`).join(',')],
        ...['--listen-metrics-urls', peer(member.metrics)],
        ...(certificates ? serverTls(folder, certificates) : []),
        ...args,
      ],
    }),
    ready: async () => {
      const answer = await fetch(`${peer(member.metrics)}/health`).catch(() => undefined);
      return answer?.ok === true && ((await answer.json()) as { health: string }).health === 'true';
    },
  });
  let authenticated = false;
  const ctl = async (input: string | Buffer | undefined, args: readonly string[]) => {
    const credentials = authenticated ? ['--user', 'root:root'] : [];
    const files = certificates
      ? ['--cacert', certificates.ca, '--cert', certificates.cert, '--key', certificates.key]
      : [];
    const env = { ...process.env, ETCDCTL_API: '3' };
    const running = run(programs.etcdctl, ['--endpoints', url, ...credentials, ...files, ...args], {
      env,
      maxBuffer: 64 * 1024 ** 2,
    });
    if (input !== undefined) running.child.stdin?.end(input);
    const { stdout } = await running;
    if (auth && args[0] === 'auth') authenticated = args[1] === 'enable';
    return stdout;
  };
  return {
    ...service,
    url,
    certificates,
    ctl: (...args) => ctl(undefined, args),
    ctlWithInput: (input, ...args) => ctl(input, args),
  };
}

const serverTls = (folder: string, { ca }: Certificates) => [
  ...['--cert-file', join(folder, 'server.crt'), '--key-file', join(folder, 'server.key')],
  ...['--client-cert-auth', '--trusted-ca-file', ca],
];
