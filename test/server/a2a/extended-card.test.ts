import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuthScheme } from '../../../core/extension/auth-scheme.ts';
import { bindings, fetchAs, type RestErrorBody, rest } from '../../support/a2a-bindings.ts';
import { rpc } from '../../support/a2a-client.ts';
import { type AgentWish, parrot, servingAgents } from '../../support/a2a-serving.ts';

const keyScheme: AuthScheme = {
  securityScheme: { httpAuthSecurityScheme: { scheme: 'Bearer' } },
  async authenticate({ headers }) {
    return headers['authorization'] === 'Bearer secret' ? { subject: 'alice', scopes: [], claims: {} } : undefined;
  },
};

const skill = (id: string) => ({ id, name: id, description: `does ${id}`, tags: ['t'], examples: [] });
const agents: Record<'writer' | 'plain', AgentWish> = {
  writer: {
    run: parrot,
    config: {
      description: 'Writes',
      skills: [skill('write')],
      extended_card: { description: 'Writes, and more', skills: [skill('publish')] },
    },
  },
  plain: { run: parrot },
};
const auth = { enabled: true, require_auth: false, excluded_paths: [] };
const alice = { Authorization: 'Bearer secret' };

for (const [binding, connect] of Object.entries(bindings)) {
  test(`${binding}: who says who he is gets the extended card`, async () => {
    await using serving = await servingAgents({ agents, authSchemes: { key: keyScheme }, server: { auth } });
    const client = await connect(serving.url, 'writer', { fetchImpl: fetchAs(alice) });
    const card = await client.getAgentCard();

    assert.equal(card.description, 'Writes, and more');
    assert.deepEqual(
      card.skills.map(({ id }) => id),
      ['write', 'publish'],
    );
    assert.equal(card.capabilities?.extendedAgentCard, true);
    assert.deepEqual(Object.keys(card.securitySchemes), ['key']);
  });
}

test('who does not is refused by HTTP itself, over both bindings', async () => {
  await using serving = await servingAgents({ agents, authSchemes: { key: keyScheme }, server: { auth } });
  const url = `${serving.url}/agents/writer`;
  const refused = await rest<RestErrorBody>(`${url}/extendedAgentCard`);
  assert.deepEqual([refused.status, refused.body.error.status], [401, 'UNAUTHENTICATED']);
  assert.match(refused.headers.get('www-authenticate') ?? '', /^Bearer /);
  for (const method of ['GetExtendedAgentCard', 'agent/getAuthenticatedExtendedCard']) {
    const { status, headers, body } = await rpc(url, method, undefined);
    assert.deepEqual([status, body.error?.code], [401, 'unauthenticated']);
    assert.match(headers.get('www-authenticate') ?? '', /^Bearer /);
  }
  const shown = await rest(url);
  assert.doesNotMatch(shown.text, /publish|and more/, 'the public card does not tell');
});

test('without one, or without anybody who could say who he is, there is none', async () => {
  await using open = await servingAgents({ agents });
  await using closed = await servingAgents({ agents, authSchemes: { key: keyScheme }, server: { auth } });
  for (const url of [`${open.url}/agents/writer`, `${closed.url}/agents/plain`]) {
    const answer = await rest<RestErrorBody>(`${url}/extendedAgentCard`, { headers: alice });
    assert.equal(answer.body.error.details[0]?.reason, 'EXTENDED_AGENT_CARD_NOT_CONFIGURED', url);
    assert.equal((await rpc(url, 'GetExtendedAgentCard', {})).body.error?.code, -32007);
    assert.equal((await rpc(url, 'agent/getAuthenticatedExtendedCard', undefined)).body.error?.code, -32007);
    const { body } = await rest<{ capabilities: { extendedAgentCard: boolean } }>(url);
    assert.equal(body.capabilities.extendedAgentCard, false);
  }
});
