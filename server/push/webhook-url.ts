import { errorCode, errorMessage, HectorError } from '../../core/errors.ts';
import type { AddressGuard } from '../../core/net/address-guard.ts';

/** The address of a webhook, if notifications may go there; else throws `push_url_refused`. */
export async function webhookUrl(text: string, guard: AddressGuard, timeoutMs: number): Promise<URL> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw refused('The address of a webhook must be a complete URL that begins with http:// or https://.');
  }
  if (url.username !== '' || url.password !== '') {
    throw refused('The URL of a webhook must not hold a user name or password; give `authentication` instead.');
  }
  await requireReachable(url, guard, timeoutMs);
  url.hash = '';
  return url;
}

async function requireReachable({ hostname }: URL, guard: AddressGuard, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer')), timeoutMs);
  });
  try {
    const found = await Promise.race([guard.addresses(hostname), late]);
    if (found.length === 0) throw new Error('no address');
  } catch (error) {
    if (errorCode(error) === 'outbound_refused') {
      throw refused(
        `${errorMessage(error)} Webhooks in the server's own networks are allowed by server.push.allow_private: true.`,
      );
    }
    throw refused(`The webhook's host "${hostname}" cannot be found (${errorCode(error) ?? errorMessage(error)}).`);
  } finally {
    clearTimeout(timer);
  }
}

function refused(message: string): HectorError {
  return new HectorError('push_url_refused', message);
}
