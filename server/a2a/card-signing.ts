import { createPrivateKey, type KeyObject } from 'node:crypto';
import { AgentCard, generateAgentCardSignature } from '@a2a-js/sdk';
import type { ConfigIssue } from '../../core/config/issue.ts';
import type { HectorConfig } from '../../core/config/language/hector.ts';
import type { Snapshot } from '../../core/config/snapshot.ts';
import { HectorError } from '../../core/errors.ts';

type CardSigning = NonNullable<HectorConfig['server']['card_signing']>;

/** The card with its signature added. */
export type CardSigner = (card: object) => Promise<object>;

/** What a key must be for an algorithm to work with it. RSA says nothing of its curve. */
const kinds: Readonly<Record<string, { readonly type: string; readonly curve?: string }>> = {
  ES256: { type: 'ec', curve: 'prime256v1' },
  ES384: { type: 'ec', curve: 'secp384r1' },
  ES512: { type: 'ec', curve: 'secp521r1' },
  RS256: { type: 'rsa' },
  PS256: { type: 'rsa' },
  EdDSA: { type: 'ed25519' },
};

const minRsaBits = 2048;

/** A JWS over the canonical form of all that A2A 1.0 knows of the card. Throws where the key cannot be used. */
export function cardSigner({ key, algorithm, key_id, key_url }: CardSigning): CardSigner {
  const header = { alg: algorithm, kid: key_id, typ: 'JOSE', ...(key_url !== undefined && { jku: key_url }) };
  const sign = generateAgentCardSignature(privateKey(key, algorithm), header);
  // The SDK declares its form in memory; it reads the one on the wire, and only that one with its security schemes.
  return (card) => sign(card as AgentCard);
}

function privateKey(text: string, algorithm: string): KeyObject {
  const key = parse(text.trim());
  const { type, curve } = kinds[algorithm] ?? {};
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType !== type || (curve !== undefined && namedCurve !== curve)) {
    const wanted = curve === undefined ? type : `${type} (${curve})`;
    const found = namedCurve === undefined ? key.asymmetricKeyType : `${key.asymmetricKeyType} (${namedCurve})`;
    throw new HectorError('card_signing', `is a key of the type ${found}, but ${algorithm} needs ${wanted}`);
  }
  if (type === 'rsa' && modulusLength < minRsaBits) {
    throw new HectorError('card_signing', `is an RSA key of ${modulusLength} bits; ${minRsaBits} is the least`);
  }
  return key;
}

function parse(text: string): KeyObject {
  try {
    if (text.startsWith('{')) return createPrivateKey({ key: JSON.parse(text), format: 'jwk' });
    // Environment variables often hold a PEM in one line.
    return createPrivateKey(text.replaceAll('\\n', '\n'));
  } catch (error) {
    // The cause stays out of the message: it may quote the text, which is the key.
    throw new HectorError('card_signing', 'is not a private key in PEM (PKCS #8) or as a JWK', { cause: error });
  }
}

/** What would make signing impossible, or worthless. */
export async function cardSigningIssues(snapshot: Snapshot): Promise<readonly ConfigIssue[]> {
  const { card_signing: signing, public_url: publicUrl } = snapshot.config.server;
  if (!signing) return [];
  const issue = (path: readonly string[], message: string): ConfigIssue => ({
    path,
    message,
    rule: 'build',
    ...snapshot.locate(path),
  });
  const issues: ConfigIssue[] = [];
  if (publicUrl === undefined) {
    const message = 'needs server.public_url: else anybody gets a card signed that leads to a host of their choice';
    issues.push(issue(['server', 'card_signing'], message));
  }
  try {
    await cardSigner(signing)(AgentCard.toJSON(AgentCard.fromJSON({ name: 'trial' })) as object);
  } catch (error) {
    const message = error instanceof HectorError ? error.message : 'cannot sign: the key does not work';
    issues.push(issue(['server', 'card_signing', 'key'], message));
  }
  return issues;
}
