import { ConfigError, formatIssue } from '../../core/config/issue.ts';
import { printConfig } from '../../core/config/print.ts';
import { formatReport, reportJson } from '../../core/config/report.ts';
import { HectorError } from '../../core/errors.ts';
import { tryOut } from '../build.ts';
import { type Output, showsColor } from './output.ts';
import { openSource } from './source.ts';

export interface ValidateFlags {
  readonly format: 'pretty' | 'json';
  readonly printConfig?: boolean;
}

/** Takes the way that `serve` takes, up to where it would listen. */
export async function validateCommand(file: string, flags: ValidateFlags): Promise<Output> {
  const forPrograms = flags.format === 'json';
  try {
    await using source = await openSource({ config: file });
    const snapshot = await source.loadLocal();
    const built = await tryOut(snapshot);
    const warnings = [...snapshot.warnings, ...built].map(
      (issue) => `Warning: ${formatIssue(snapshot.source, issue)}\n`,
    );
    // What is there is checked where it is written: by `hector config push`.
    const elsewhere = source.remote ? ` The configuration itself is at ${source.source}.` : '';
    if (flags.printConfig) return { code: 0, stdout: printConfig(snapshot), stderr: warnings.join('') };
    if (forPrograms) return { code: 0, stdout: json(reportJson(snapshot, built)) };
    return { code: 0, stdout: `${file} is valid.${elsewhere}\n`, stderr: warnings.join('') };
  } catch (error) {
    const failure = forPrograms ? asConfigError(file, error) : error;
    if (!(failure instanceof ConfigError)) throw error;
    if (forPrograms) return { code: 1, stdout: json(reportJson(failure)) };
    return { code: 1, stderr: formatReport(failure, { color: showsColor(process.stderr) }) };
  }
}

/** Programs get one form, also where there is no document to find an error in. */
function asConfigError(file: string, error: unknown): unknown {
  if (error instanceof ConfigError || !(error instanceof HectorError)) return error;
  return new ConfigError(file, [{ path: [], message: error.message, rule: 'document' }], { cause: error });
}

function json(report: object): string {
  return `${JSON.stringify(report, undefined, 2)}\n`;
}
