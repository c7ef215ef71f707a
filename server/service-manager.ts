import { spawn } from 'node:child_process';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConfigStatus, ReloadEvent } from '../core/config/status.ts';
import { errorMessage } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { within } from '../core/waiting.ts';

/** What became of a reload that somebody asked for by SIGHUP: for `hector reload`, which waits for it. */
export interface ReloadReport {
  /** Tells it from the one before. */
  readonly at: string;
  readonly result: ReloadEvent['result'];
  /** One sentence, without secrets. */
  readonly message: string;
}

/** Where the report is, in the folder that systemd makes for the service (`RuntimeDirectory=`). */
export const reportPath = (runtimeDirectory: string) => join(runtimeDirectory.split(':')[0] ?? '', 'reload.json');

/** A service manager that does not take a message within this time gets no other. */
const tellMs = 5_000;
const lastMs = 1_000;
/** For as long as the source of the configuration is waited for, the start is given so much more time, and again. */
const extendMs = 60_000;

/**
 * Tells systemd where this process stands (`Type=notify`, see sd_notify(3)). Nothing waits for it and nothing fails by it:
 * a message that cannot be sent is a warning, once.
 *
 * Node has no datagram sockets of the Unix domain, and the modules that bring them have to be compiled. So systemd-notify
 * sends the messages, which comes with systemd. It is a child of this process, hence `NotifyAccess=all` in the unit; it
 * stays until systemd has read the message, or systemd could not tell any more whose it was.
 */
export class ServiceManager {
  readonly #socket: string;
  readonly #report: string | undefined;
  readonly #logger: Logger;
  #sent: Promise<void> = Promise.resolve();
  #broken = false;
  #ready = false;
  #ending = false;
  #text = '';
  #waiting: NodeJS.Timeout | undefined;

  /** `undefined` where no service manager wants to know. Whoever this process starts is not to speak in its name. */
  static of(environment: NodeJS.ProcessEnv, logger: Logger): ServiceManager | undefined {
    const { NOTIFY_SOCKET: socket, RUNTIME_DIRECTORY: folder } = environment;
    delete environment['NOTIFY_SOCKET'];
    return socket ? new ServiceManager(socket, folder ? reportPath(folder) : undefined, logger) : undefined;
  }

  private constructor(socket: string, report: string | undefined, logger: Logger) {
    this.#socket = socket;
    this.#report = report;
    this.#logger = logger;
  }

  /** As `systemctl status` shows it. Ready is who serves, be it an older configuration than there may be. */
  update(status: ConfigStatus): void {
    this.#text = describe(status);
    if (this.#ending) return;
    const serves = status.state !== 'starting';
    if (serves) clearInterval(this.#waiting);
    else this.#waiting ??= this.#extend();
    this.#tell([serves && !this.#ready && 'READY=1', `STATUS=${this.#text}`]);
    this.#ready ||= serves;
  }

  /** Around a reload. What it brings is told afterwards, and where `hector reload` looks for it. */
  async reloading(reload: () => Promise<Omit<ReloadReport, 'at'>>): Promise<void> {
    // For systemd 253 and newer: only what is ready after this time is ready anew.
    this.#tell(['RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`]);
    const outcome = await reload();
    if (this.#ending) return;
    this.#tell([this.#ready && 'READY=1', `STATUS=${this.#text}`]);
    await this.#sent;
    await this.#keep({ at: new Date().toISOString(), ...outcome });
  }

  /** From now on the process ends, and may take so long for it. */
  stopping(withinMs: number): void {
    this.#ending = true;
    clearInterval(this.#waiting);
    this.#tell(['STOPPING=1', `EXTEND_TIMEOUT_USEC=${Math.ceil(withinMs) * 1_000}`, 'STATUS=Shutting down']);
  }

  /** Everything has been told, or is not worth to be waited for. */
  async settled(): Promise<void> {
    await within(lastMs, this.#sent);
  }

  #extend(): NodeJS.Timeout {
    const more = () => this.#tell([`EXTEND_TIMEOUT_USEC=${extendMs * 1_000}`]);
    more();
    return setInterval(more, extendMs / 2).unref();
  }

  /** One after the other, so that systemd hears them in their order. */
  #tell(assignments: readonly (string | false)[]): void {
    const args = assignments.filter((each) => each !== false);
    this.#sent = this.#sent.then(async () => {
      if (this.#broken) return;
      try {
        await systemdNotify(this.#socket, args);
      } catch (error) {
        this.#broken = true;
        this.#logger.warn({ reason: errorMessage(error) }, 'systemd cannot be told where this process stands');
      }
    });
  }

  async #keep(report: ReloadReport): Promise<void> {
    if (this.#report === undefined) return;
    try {
      await writeFile(`${this.#report}.new`, JSON.stringify(report), { mode: 0o600 });
      await rename(`${this.#report}.new`, this.#report);
    } catch (error) {
      this.#logger.warn({ reason: errorMessage(error) }, 'what became of the reload cannot be kept');
    }
  }
}

function systemdNotify(socket: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('systemd-notify', args, {
      env: { PATH: process.env['PATH'], NOTIFY_SOCKET: socket },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: tellMs,
      killSignal: 'SIGKILL',
    });
    let output = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`systemd-notify ended with ${code ?? signal}: ${output.trim()}`));
    });
  });
}

function describe(status: ConfigStatus): string {
  const { state, serving, source, error, connection_error } = status;
  const short = ({ generation, hash }: NonNullable<typeof serving>) =>
    `Serving generation ${generation} of ${source} (${hash.slice(0, 12)})`;
  const texts = {
    starting: () => `Waiting for a configuration from ${source}${because(error?.message ?? connection_error)}`,
    current: () => '',
    rejected: () => `; a newer one is refused${because(error?.message)}`,
    degraded: () =>
      serving?.last_good ? '; it is the last good one' : `; it cannot be reached${because(connection_error)}`,
  };
  // A line break would begin another assignment.
  return `${serving ? short(serving) : ''}${texts[state]()}`.replaceAll(/\s+/g, ' ').slice(0, 1_000);
}

const because = (reason: string | undefined) => (reason === undefined ? '' : `: ${reason}`);
