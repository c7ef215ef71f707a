import { BlockList } from 'node:net';
import type { Manifest } from './manifests.ts';

/** Somebody on the network of a cluster: a pod, or an address outside. */
export type Peer =
  | { readonly namespace: string; readonly labels: Readonly<Record<string, string>> }
  | { readonly address: string };

export interface Flow {
  readonly from: Peer;
  readonly to: Peer;
  readonly port: number;
  readonly protocol?: 'TCP' | 'UDP';
}

// biome-ignore lint/suspicious/noExplicitAny: the schema has been checked.
type Fields = any;

const selects = (selector: Fields, labels: Readonly<Record<string, string>>) =>
  Object.entries(selector.matchLabels ?? {}).every(([name, value]) => labels[name] === value);

function within(cidrs: readonly string[], address: string): boolean {
  const family = address.includes(':') ? 'ipv6' : 'ipv4';
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [net = '', bits = ''] = cidr.split('/');
    if (net.includes(':') === (family === 'ipv6')) list.addSubnet(net, Number(bits), family);
  }
  return list.check(address, family);
}

/** Whether one entry of `from` or `to` means this peer, seen from a policy's own namespace. */
function means(entry: Fields, peer: Peer, namespace: string): boolean {
  if (entry.ipBlock)
    return (
      'address' in peer &&
      within([entry.ipBlock.cidr], peer.address) &&
      !within(entry.ipBlock.except ?? [], peer.address)
    );
  if ('address' in peer) return false;
  const place = entry.namespaceSelector
    ? selects(entry.namespaceSelector, { 'kubernetes.io/metadata.name': peer.namespace })
    : peer.namespace === namespace;
  return place && selects(entry.podSelector ?? {}, peer.labels);
}

/** What https://kubernetes.io/docs/concepts/services-networking/network-policies/ says of the policies for one end. */
function lets(policies: readonly Manifest[], end: Peer, other: Peer, flow: Flow, type: 'Ingress' | 'Egress'): boolean {
  if ('address' in end) return true;
  const own = policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === end.namespace && spec.policyTypes.includes(type) && selects(spec.podSelector, end.labels),
  );
  if (own.length === 0) return true;
  return own.some(({ spec }) =>
    ((type === 'Ingress' ? spec.ingress : spec.egress) ?? []).some((rule: Fields) => {
      const peers: Fields[] | undefined = type === 'Ingress' ? rule.from : rule.to;
      const ports: Fields[] | undefined = rule.ports;
      return (
        (!peers || peers.some((entry) => means(entry, other, end.namespace))) &&
        (!ports || ports.some(({ port, protocol }) => port === flow.port && protocol === (flow.protocol ?? 'TCP')))
      );
    }),
  );
}

/** Whether policies let a connection through, at both of its ends. */
export const allowed = (policies: readonly Manifest[], flow: Flow): boolean =>
  lets(policies, flow.from, flow.to, flow, 'Egress') && lets(policies, flow.to, flow.from, flow, 'Ingress');
