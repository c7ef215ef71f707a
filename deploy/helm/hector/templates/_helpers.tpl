{{- define "hector.name" -}}
{{ default .Release.Name .Values.fullnameOverride | trunc 48 | trimSuffix "-" }}
{{- end }}

{{- define "hector.labels" -}}
app.kubernetes.io/name: hector
app.kubernetes.io/part-of: hector
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "hector.secret" -}}
{{ default (printf "%s-secrets" (include "hector.name" .)) .Values.secrets.existingSecret }}
{{- end }}

{{- define "hector.serviceAccount" -}}
{{ default (ternary (include "hector.name" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "hector.postgresHost" -}}
{{ include "hector.name" . }}-postgres.{{ .Release.Namespace }}.svc.cluster.local
{{- end }}

{{/* What the configuration gets by the switches of the chart, where it does not say something else itself. */}}
{{- define "hector.switched" -}}
{{- if .Values.ingress.enabled }}
server:
  public_url: {{ ternary "https" "http" (ne .Values.ingress.tlsSecret "") }}://{{ .Values.ingress.host }}
  trusted_proxies: {{ toJson .Values.ingress.trustedProxies }}
{{- end }}
{{- if .Values.postgres.enabled }}
databases:
  main:
    driver: postgres
    host: {{ include "hector.postgresHost" . }}
    port: 5432
    database: hector
    user: hector
    password: ${DB_PASSWORD}
storage:
  tasks: { backend: sql, database: main }
  sessions: { backend: sql, database: main }
  checkpoint:
    enabled: true
    recovery: { auto_resume: true }
{{- end }}
{{- end }}

{{- define "hector.config" -}}
{{- if kindIs "string" .Values.config }}
{{- .Values.config }}
{{- else }}
{{- $config := merge (deepCopy .Values.config) (include "hector.switched" . | fromYaml) }}
{{- if .Values.remoteConfig.enabled }}
{{- with .Values.remoteConfig }}
{{- $source := dict "provider" .provider "address" .address "key" .key }}
{{- if .tokenSecret }}{{ $source = set $source "token_file" (printf "/run/secrets/%s/token" .provider) }}{{ end }}
{{- $config = set (pick $config "version" "server" "logger") "config" $source }}
{{- end }}
{{- end }}
{{- toYaml $config }}
{{- end }}
{{- end }}

{{- define "hector.resources" -}}
{{- if .Values.resources }}
{{- toYaml .Values.resources }}
{{- else if .Values.autoscaling.enabled }}
requests: { memory: 256Mi, cpu: 200m }
limits: { memory: 1Gi, cpu: 1000m }
{{- else }}
requests: { memory: 128Mi, cpu: 100m }
limits: { memory: 512Mi, cpu: 500m }
{{- end }}
{{- end }}

{{- define "hector.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end }}

{{- define "hector.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Connects to the Postgres of this chart. */}}
{{- define "hector.postgresEnv" -}}
- name: PGHOST
  value: {{ include "hector.postgresHost" . }}
- name: PGUSER
  value: hector
- name: PGPASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "hector.secret" . }}
      key: DB_PASSWORD
- name: BACKUPS
  value: /backups
{{- end }}

{{/* What would be installed and then not work. */}}
{{- define "hector.check" -}}
{{- $database := or .Values.postgres.enabled .Values.remoteConfig.enabled (kindIs "string" .Values.config) (dig "storage" "tasks" "database" "" (ternary dict .Values.config (kindIs "string" .Values.config))) }}
{{- if and (or .Values.autoscaling.enabled (gt (int .Values.replicaCount) 1)) (not $database) }}
{{- fail "more than one replica needs a database: set postgres.enabled, or databases and storage in config" }}
{{- end }}
{{- if not (or .Values.secrets.existingSecret .Values.secrets.values) }}
{{- fail "set secrets.existingSecret, or secrets.values with what the configuration refers to (OPENAI_API_KEY)" }}
{{- end }}
{{- if and .Values.postgres.enabled (not .Values.secrets.existingSecret) (not .Values.secrets.values.DB_PASSWORD) }}
{{- fail "postgres needs a password: set secrets.values.DB_PASSWORD, or secrets.existingSecret with it" }}
{{- end }}
{{- if and (or .Values.backup.enabled .Values.restore.enabled) (not .Values.postgres.enabled) }}
{{- fail "backup and restore are of the Postgres of this chart: set postgres.enabled" }}
{{- end }}
{{- if and .Values.networkPolicy.enabled (ne .Values.service.type "ClusterIP") }}
{{- fail "networkPolicy lets only the Ingress in: leave service.type at ClusterIP" }}
{{- end }}
{{- end }}
