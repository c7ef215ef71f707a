import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OutboundRules } from '../../../core/net/outbound-rules.ts';

const rules = (...entries: string[]) => {
  const made = new OutboundRules(entries);
  assert.deepEqual(made.mistakes, []);
  return made;
};

test('hosts are allowed by name, with or without the dot at the end, in any case', () => {
  const made = rules('MCP.internal', 'bücher.example');
  for (const host of ['mcp.internal', 'MCP.INTERNAL.', 'bücher.example', 'xn--bcher-kva.example']) {
    assert.ok(made.allowsHost(host, 'private'), host);
  }
  for (const host of ['internal', 'a.mcp.internal', 'mcp.internal.example', 'xmcp.internal']) {
    assert.ok(!made.allowsHost(host, 'private'), host);
  }
});

test('a suffix allows what is below it, and never the metadata of a cloud', () => {
  const made = rules('*.internal');
  assert.ok(made.allowsHost('a.b.internal', 'private'));
  assert.ok(!made.allowsHost('internal', 'private'));
  assert.ok(!made.allowsHost('xinternal', 'private'));
  assert.ok(!made.allowsHost('metadata.google.internal', 'metadata'));
  assert.ok(rules('metadata.google.internal').allowsHost('metadata.google.internal', 'metadata'));
});

test('addresses and ranges, also where an IPv6 address stands for an IPv4 address', () => {
  const made = rules('10.0.0.0/8', '192.168.1.7', 'fd00::/8', '[::1]', '::ffff:172.16.0.0/108');
  for (const address of [
    '10.255.0.1',
    '192.168.1.7',
    'fd12::1',
    '::1',
    '::ffff:10.0.0.1',
    '::ffff:a00:1',
    '64:ff9b::a00:1',
    '2002:a00:1::1',
    '172.31.0.1',
  ]) {
    assert.ok(made.allowsAddress(address), address);
  }
  for (const address of [
    '11.0.0.1',
    '192.168.1.8',
    'fe80::1',
    'fe80::1%eth0',
    '::2',
    '::ffff:11.0.0.1',
    '172.32.0.1',
  ]) {
    assert.ok(!made.allowsAddress(address), address);
  }
  assert.ok(rules('0.0.0.0/0').allowsAddress('::ffff:127.0.0.1'));
  assert.ok(rules('::/0').allowsAddress('::1'));
});

test('what is none of these is said to be wrong, and allows nothing', () => {
  for (const [entry, problem] of [
    ['*', /would allow everything.*"0\.0\.0\.0\/0"/],
    ['10.0.0.0/33', /not a CIDR range.*0 to 32/],
    ['fd00::/129', /0 to 128/],
    ['10.0.0.0/8/8', /not a CIDR range/],
    ['10.0.0.0/', /not a CIDR range/],
    ['mcp.internal/8', /not a CIDR range/],
    ['10.0.0', /not a complete address/],
    ['0x7f.1', /not a complete address/],
    ['http://mcp.internal', /is a URL/],
    ['mcp.internal:8080', /has a port/],
    ['[::1]:80', /has a port/],
    ['a b', /not a host/],
    ['*.*.internal', /not a host/],
    ['m*.internal', /not a host/],
    ['fe80::1%eth0', /not a host/],
    ['', /not a host/],
  ] as const) {
    const { mistakes } = new OutboundRules(['localhost', entry]);
    assert.equal(mistakes.length, 1, entry);
    assert.equal(mistakes[0]?.index, 1);
    assert.match(mistakes[0]?.message ?? '', problem);
  }
  assert.ok(!new OutboundRules(['*']).allowsHost('mcp.internal', 'private'));
});
