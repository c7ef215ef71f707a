import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './until.ts';

/** Node has no datagram sockets of the Unix domain; perl is on every machine. A message ends with a zero byte here. */
const receiver = `
use Socket; use IO::Handle; STDOUT->autoflush(1);
socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die "socket: $!";
bind($s, sockaddr_un($ARGV[0])) or die "bind: $!";
print "\\0";
while (defined recv($s, my $m, 65536, 0)) { print $m, "\\0" }
`;

/** What a service manager is told: one message is a record of assignments. */
export type Notification = Readonly<Record<string, string>>;

export interface NotifySocket extends AsyncDisposable {
  readonly path: string;
  /** So far, without the `BARRIER=1` by which systemd-notify sees that a message was read. */
  received(): readonly Notification[];
}

/** The socket of a service manager, for NOTIFY_SOCKET. */
export async function notifySocket(): Promise<NotifySocket> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-notify-'));
  const path = join(folder, 'socket');
  const child = spawn('perl', ['-e', receiver, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await until(() => text.startsWith('\0'));
  return {
    path,
    received: () =>
      text
        .slice(1, text.lastIndexOf('\0'))
        .split('\0')
        .filter((message) => message !== '' && !message.startsWith('BARRIER=1'))
        .map((message) =>
          Object.fromEntries(
            message
              .split('\n')
              .filter((line) => line !== '')
              .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
          ),
        ),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
