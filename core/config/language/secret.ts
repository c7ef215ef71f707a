import { duration } from './common.ts';

/** What every entry of `secrets` has, of whatever type. */
export const secretCommon = {
  refresh_interval: duration(
    '5m',
    'While the configuration is followed (`--watch`), secrets are asked for again this often, and a changed one is a changed configuration; 0: never',
  ),
};

/** What stands before the colon of a reference. In lower case, so that it is no variable. */
export const storeNamePattern = '^(?!(?:env|file)$)[a-z][a-z0-9-]{0,63}$';
