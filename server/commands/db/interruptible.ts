import { type Output, print } from '../output.ts';

const codes = { SIGINT: 130, SIGTERM: 143 } as const;

/** Runs a command that a first signal ends in order: what it has begun is undone or left whole. A second ends it at once. */
export async function interruptible(work: (signal: AbortSignal) => Promise<Output>): Promise<void> {
  const ending = new AbortController();
  let code: number | undefined;
  const interrupt = (name: NodeJS.Signals) => {
    code = codes[name as keyof typeof codes];
    ending.abort();
    for (const each of Object.keys(codes)) process.off(each, interrupt);
  };
  for (const each of Object.keys(codes)) process.on(each, interrupt);
  try {
    const output = await work(ending.signal);
    await print(output.stdout ?? '');
    process.stderr.write(output.stderr ?? '');
    process.exitCode = output.code;
  } catch (error) {
    if (code === undefined) throw error;
    process.stderr.write('Interrupted.\n');
    process.exitCode = code;
  } finally {
    for (const each of Object.keys(codes)) process.off(each, interrupt);
  }
}
