/** What a command that ends by itself has to say. */
export interface Output {
  /** 0, or 1 where the configuration is wrong. */
  readonly code: number;
  readonly stdout?: string;
  readonly stderr?: string;
}

/** Writes to standard output and resolves when it is out: a process that exits earlier cuts what a pipe has not taken. */
export function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => {
      // Whoever reads has had enough (`hector schema | head`).
      if (error && (error as NodeJS.ErrnoException).code !== 'EPIPE') reject(error);
      else resolve();
    });
  });
}

/** Whether a stream shows colours: on a terminal, unless the user wants none (https://no-color.org). */
export function showsColor(stream: { readonly isTTY?: boolean }): boolean {
  return stream.isTTY === true && !process.env['NO_COLOR'];
}
