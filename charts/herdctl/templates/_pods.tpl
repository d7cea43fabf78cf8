{{/*
What the pods of all three components have in common, in pieces; the rest stands in their own templates. Each piece
takes a list: the root, and the component: controller, store or gateway.
*/}}

{{/* Our labels win: the selectors need them. */}}
{{- define "herdctl.podMetadata" -}}
{{- $values := get (index . 0).Values (index . 1) -}}
labels:
  {{- merge (include "herdctl.selectorLabels" . | fromYaml) $values.podLabels | toYaml | nindent 2 }}
{{- with $values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "herdctl.podSpec" -}}
{{- $root := index . 0 }}
{{- $component := index . 1 -}}
serviceAccountName: {{ include (printf "herdctl.%s.name" $component) $root }}
{{ include "herdctl.placement" . }}
{{- end }}

{{/* Where a pod runs, and what all of ours have in common. */}}
{{- define "herdctl.placement" -}}
{{- $root := index . 0 }}
{{- $values := get $root.Values (index . 1) -}}
automountServiceAccountToken: true
enableServiceLinks: false
{{- with include "herdctl.pullSecrets" $root | fromYamlArray }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
nodeSelector:
  {{- merge (dict) $values.nodeSelector (dict "kubernetes.io/os" "linux" "kubernetes.io/arch" "amd64") | toYaml | nindent 2 }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* No runAsUser: the image brings 65532, and OpenShift wants to choose. */}}
{{- define "herdctl.podSecurity" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/*
All of a container but its name, arguments, ports and mounts. The kubelet runs a program for the probes: a port of
its own would be open to every pod.
/healthz answers without the API server: one that is away must not restart anything.
*/}}
{{- define "herdctl.container" -}}
{{ include "herdctl.program" . }}
startupProbe:
  exec:
    command: [herd-operator, probe, healthz]
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 60
livenessProbe:
  exec:
    command: [herd-operator, probe, healthz]
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  exec:
    command: [herd-operator, probe, readyz]
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{/* The same without what only a server has. */}}
{{- define "herdctl.program" -}}
{{- $root := index . 0 }}
{{- $values := get $root.Values (index . 1) -}}
image: {{ include "herdctl.operatorImage" $root | quote }}
imagePullPolicy: {{ $root.Values.operator.imagePullPolicy }}
env:
  {{- include "herdctl.env" . | nindent 2 }}
resources:
  {{- toYaml $values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "herdctl.env" -}}
{{- $component := index . 1 }}
{{- $values := get (index . 0).Values $component }}
{{- $names := list }}
{{- range $values.env }}
{{- if has .name (list "POD_NAME" "POD_NAMESPACE") }}
{{- fail (printf "%s.env: %s is set by the chart, take it out" $component .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- end -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- if not (has "RUST_LOG" $names) }}
- name: RUST_LOG
  value: {{ $values.logLevel }}
{{- end }}
{{- with $values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}
