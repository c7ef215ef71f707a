/** What `import … from 'hector/server'` gives: Hector within a program of one's own. */
export { environmentOf, readEnvironment } from '../core/config/environment.ts';
export { ConfigError } from '../core/config/issue.ts';
export { type LoadOptions, loadSnapshot } from '../core/config/load.ts';
export type { Snapshot } from '../core/config/snapshot.ts';
export { loadConfiguration } from './commands/configuration.ts';
export { type HectorOptions, type RunningHector, startHector } from './hector.ts';
export { type Logging, type LoggingOptions, openLogging } from './logging.ts';
export { version } from './version.ts';
