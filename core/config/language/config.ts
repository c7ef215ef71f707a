import type { Static } from 'typebox';
import { Type } from '../../plugin/type.ts';
import { duration, optionalDuration } from './common.ts';

/** What the `config` block says whatever the provider; the provider's own options stand beside these. */
export const configCommon = {
  watch: Type.Boolean({ default: false, description: 'Follow the source: serve what it says as soon as it changes' }),
  format: Type.Enum(['auto', 'yaml', 'json'], {
    default: 'auto',
    description: 'json: what is not JSON is refused; otherwise YAML is read, and JSON with it',
  }),
  boot: Type.Optional(
    Type.Enum(['wait', 'last_good', 'fail'], {
      description:
        'What a start does while the source cannot be reached. wait: live, not ready, until it can; last_good: serve what was served last, else wait; fail: end. Default: last_good, with a file fail',
    }),
  ),
  allow_empty: Type.Boolean({
    default: false,
    description: 'Whether nothing at all, after something good, is a configuration',
  }),
  debounce: duration('100ms', 'A change is acted on when the source has been quiet for so long'),
  max_debounce: duration('2s', 'And at the latest after so long'),
  throttle: optionalDuration('At most one change in this time; 0: no limit. Default: 2s, with a file 0'),
  warm_timeout: duration('10s', 'How long what has changed may take to come up; then the change is refused'),
  history: Type.Integer({
    minimum: 0,
    maximum: 1000,
    default: 10,
    description: 'How many earlier revisions `hector config push` keeps; 0: none',
  }),
  last_good: Type.Optional(
    Type.String({ minLength: 1, description: 'The file that keeps what was served last. Default: one in .hector/' }),
  ),
  instance: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$',
      description: 'Name of this replica, unique in the fleet. Default: the host name, and something random',
    }),
  ),
};

/** The provider of a block that names none. */
export const defaultConfigProvider = 'file';

const Settings = Type.Object({ provider: Type.String(), ...configCommon });

/** The keys of a `config` block that all providers share, checked, with their defaults. */
export type ConfigSettings = Static<typeof Settings>;
