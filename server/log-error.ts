/** What a log says of an error. Only these: SDKs hang whole requests, headers and keys included, on the errors they throw. */
export interface DescribedError {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly status?: number;
  readonly stack?: string;
  readonly cause?: DescribedError;
  readonly errors?: readonly DescribedError[];
}

const maxDepth = 5;
const maxErrors = 10;
const maxText = 8_000;

export function describeError(error: unknown): DescribedError {
  return describe(error, maxDepth);
}

function describe(error: unknown, depth: number): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error, message: clip(String(error)) };
  const { code, status } = error as { code?: unknown; status?: unknown };
  const errors = (error as { errors?: unknown }).errors;
  return {
    type: error.name,
    message: clip(error.message),
    ...(typeof code === 'string' && { code }),
    ...(typeof status === 'number' && { status }),
    ...(typeof error.stack === 'string' && { stack: clip(error.stack) }),
    ...(error.cause !== undefined && depth > 0 && { cause: describe(error.cause, depth - 1) }),
    ...(Array.isArray(errors) &&
      depth > 0 && { errors: errors.slice(0, maxErrors).map((each) => describe(each, depth - 1)) }),
  };
}

function clip(text: string): string {
  return text.length <= maxText ? text : `${text.slice(0, maxText)}…`;
}
