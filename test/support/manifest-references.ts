import { type Manifest, manifestOf } from './manifests.ts';

// biome-ignore lint/suspicious/noExplicitAny: the schema has been checked.
type Fields = any;
type Labels = Readonly<Record<string, string>>;

/** The pods that objects make: their template's spec and labels. */
export function podTemplates(
  manifests: readonly Manifest[],
): readonly { owner: Manifest; labels: Labels; spec: Fields }[] {
  return manifests.flatMap((owner) => {
    if (owner.kind === 'Pod') return [{ owner, labels: owner.metadata.labels ?? {}, spec: owner['spec'] }];
    const template = owner['spec']?.jobTemplate?.spec.template ?? owner['spec']?.template;
    return template?.spec?.containers ? [{ owner, labels: template.metadata.labels, spec: template.spec }] : [];
  });
}

const selects = (selector: Labels, labels: Labels) =>
  Object.entries(selector).every(([name, value]) => labels[name] === value);

/** What objects name and what is not there, which an API server takes and a cluster then waits for. */
export function danglingReferences(manifests: readonly Manifest[]): readonly string[] {
  const problems: string[] = [];
  const pods = podTemplates(manifests);
  const has = (kind: string, name: string) =>
    manifests.some((each) => each.kind === kind && each.metadata.name === name);
  const need = (found: unknown, who: Manifest, what: string) => {
    if (!found) problems.push(`${who.kind} ${who.metadata.name}: ${what}`);
  };
  const keysOf = (kind: string, name: string): readonly string[] => {
    if (!has(kind, name)) return [];
    const { data, stringData } = manifestOf(manifests, kind, name);
    return Object.keys({ ...data, ...stringData });
  };
  for (const { owner, labels, spec } of pods) {
    const selector: Labels | undefined = owner['spec'].selector?.matchLabels;
    if (selector) need(selects(selector, labels), owner, 'does not select its own pods');
    // Every namespace has one that is called `default`.
    if (spec.serviceAccountName && spec.serviceAccountName !== 'default')
      need(has('ServiceAccount', spec.serviceAccountName), owner, spec.serviceAccountName);
    const claims = (owner['spec'].volumeClaimTemplates ?? []).map(({ metadata }: Manifest) => metadata.name);
    const volumes: Fields[] = spec.volumes ?? [];
    for (const { configMap, secret, persistentVolumeClaim } of volumes) {
      if (configMap) need(has('ConfigMap', configMap.name), owner, `ConfigMap ${configMap.name}`);
      if (secret) need(has('Secret', secret.secretName), owner, `Secret ${secret.secretName}`);
      const claim = persistentVolumeClaim?.claimName;
      if (claim) need(has('PersistentVolumeClaim', claim), owner, `claim ${claim}`);
    }
    const mounted = new Set<string>();
    for (const container of spec.containers) {
      for (const { name } of container.volumeMounts ?? []) {
        mounted.add(name);
        need(claims.includes(name) || volumes.some((volume) => volume.name === name), owner, `volume ${name}`);
      }
      for (const { secretRef } of container.envFrom ?? []) need(has('Secret', secretRef.name), owner, secretRef.name);
      for (const { valueFrom } of container.env ?? []) {
        const key = valueFrom?.secretKeyRef;
        if (key) need(keysOf('Secret', key.name).includes(key.key), owner, `${key.name}: ${key.key}`);
      }
      for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
        const port = probe?.httpGet?.port;
        if (port)
          need(
            container.ports.some(({ name }: Fields) => name === port),
            owner,
            `port ${port}`,
          );
      }
    }
    for (const { name } of volumes) need(mounted.has(name), owner, `nothing mounts ${name}`);
  }
  for (const each of manifests) {
    const { spec } = each;
    if (each.kind === 'Service') {
      const behind = pods.filter(({ labels }) => selects(spec.selector, labels));
      need(behind.length === 1, each, `${behind.length} kinds of pods`);
      for (const { targetPort } of spec.ports) {
        const ports = behind.flatMap((pod) => pod.spec.containers.flatMap(({ ports }: Fields) => ports ?? []));
        need(
          ports.some(({ name }) => name === targetPort),
          each,
          `port ${targetPort}`,
        );
      }
    }
    if (each.kind === 'StatefulSet') need(has('Service', spec.serviceName), each, spec.serviceName);
    if (each.kind === 'HorizontalPodAutoscaler')
      need(has(spec.scaleTargetRef.kind, spec.scaleTargetRef.name), each, spec.scaleTargetRef.name);
    if (each.kind === 'PodDisruptionBudget')
      need(
        pods.some(({ labels }) => selects(spec.selector.matchLabels, labels)),
        each,
        'selects nothing',
      );
    if (each.kind === 'NetworkPolicy') {
      const selectors = [spec.podSelector, ...peersOf(spec).map(({ podSelector }) => podSelector)].filter(Boolean);
      for (const { matchLabels } of selectors)
        need(
          pods.some(({ labels }) => selects(matchLabels, labels)),
          each,
          `selects no ${JSON.stringify(matchLabels)}`,
        );
    }
    if (each.kind === 'Ingress')
      for (const { http } of spec.rules)
        for (const { backend } of http.paths) {
          const { name, port } = backend.service;
          const ports = has('Service', name) ? manifestOf(manifests, 'Service', name)['spec'].ports : [];
          need(
            ports.some((known: Fields) => known.port === port.number),
            each,
            `Service ${name}`,
          );
        }
    if (each.kind === 'ServiceMonitor') {
      const services = manifests.filter(
        ({ kind, metadata }) => kind === 'Service' && selects(spec.selector.matchLabels, metadata.labels ?? {}),
      );
      need(services.length === 1, each, `${services.length} services`);
      for (const { port } of spec.endpoints)
        need(
          services[0]?.['spec'].ports.some(({ name }: Fields) => name === port),
          each,
          `port ${port}`,
        );
      need(services[0]?.metadata.labels?.[spec.jobLabel], each, `label ${spec.jobLabel}`);
    }
  }
  return problems;
}

const peersOf = (spec: Fields): Fields[] =>
  [...(spec.ingress ?? []), ...(spec.egress ?? [])].flatMap(({ from, to }) => [...(from ?? []), ...(to ?? [])]);
