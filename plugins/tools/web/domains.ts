import { HectorError } from '../../../core/index.ts';
import type { WebOptions } from './options.ts';

/** Throws for a URL that the options do not let the tools ask for. */
export function domainCheck({ allowed_domains: allowed, denied_domains: denied = [] }: WebOptions): (url: URL) => void {
  return ({ hostname }) => {
    const host = hostname.toLowerCase().replace(/\.$/, '');
    if (denied.some((domain) => matches(host, domain))) {
      throw new HectorError('domain_denied', `${host} may not be asked for: it is among denied_domains.`);
    }
    if (allowed && !allowed.some((domain) => matches(host, domain))) {
      throw new HectorError('domain_denied', `${host} may not be asked for: allowed are ${allowed.join(', ')}.`);
    }
  };
}

function matches(host: string, domain: string): boolean {
  const wanted = domain.toLowerCase();
  return wanted.startsWith('*.') ? host.endsWith(wanted.slice(1)) : host === wanted;
}
