{{- define "herdctl.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/*
The prefix of all names. The longest that is made of it is a label on the store's pod: "-store-" and a hash of ten
characters follow, and a label ends at 63.
*/}}
{{- define "herdctl.fullname" -}}
{{- $name := include "herdctl.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" }}
{{- else if or (hasPrefix "herd" .Release.Name) (contains $name .Release.Name) }}
{{- .Release.Name | trunc 46 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 46 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "herdctl.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: herdctl
{{ include "herdctl.instanceLabels" . }}
{{- end }}

{{- define "herdctl.instanceLabels" -}}
app.kubernetes.io/name: {{ include "herdctl.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "herdctl.controller.name" -}}
{{ include "herdctl.fullname" . }}-controller
{{- end }}

{{- define "herdctl.store.name" -}}
{{ include "herdctl.fullname" . }}-store
{{- end }}

{{- define "herdctl.gateway.name" -}}
{{ include "herdctl.fullname" . }}-gateway
{{- end }}

{{- define "herdctl.uninstall.name" -}}
{{ include "herdctl.fullname" . }}-uninstall
{{- end }}

{{/* Where the store publishes the certificates by which it is known. */}}
{{- define "herdctl.store.ca" -}}
{{ include "herdctl.store.name" . }}-ca
{{- end }}

{{/* Where agents' pods and the gateway reach the store. Without the cluster's domain, which nobody tells us. */}}
{{- define "herdctl.store.url" -}}
https://{{ include "herdctl.store.name" . }}.{{ .Release.Namespace }}.svc:8443
{{- end }}

{{/* Each takes a list: the root, and a component: controller, store or gateway. */}}
{{- define "herdctl.selectorLabels" -}}
{{ include "herdctl.instanceLabels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "herdctl.componentLabels" -}}
{{ include "herdctl.labels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* The chart that this one is a part of has the last word on the registry, not on a whole reference. */}}
{{- define "herdctl.registry" -}}
{{- default .Values.imageRegistry .Values.global.imageRegistry }}
{{- end }}

{{- define "herdctl.operatorImage" -}}
{{- default (printf "%s/herdctl-operator:%s" (include "herdctl.registry" .) .Chart.AppVersion) .Values.operator.image }}
{{- end }}

{{- define "herdctl.agentImage" -}}
{{- default (printf "%s/herdctl-agent:%s" (include "herdctl.registry" .) .Chart.AppVersion) .Values.agent.image }}
{{- end }}

{{/* Ours and those of all charts; some write a name alone. */}}
{{- define "herdctl.pullSecrets" -}}
{{- $secrets := list }}
{{- range concat .Values.global.imagePullSecrets .Values.imagePullSecrets }}
{{- $secrets = append $secrets (ternary (dict "name" .) . (kindIs "string" .)) }}
{{- end }}
{{- $secrets | uniq | toYaml }}
{{- end }}

{{/*
Takes a list: the value's name, and the value. A size below 1 MiB is one whose unit was forgotten, or was m, which is
a thousandth of a byte.
*/}}
{{- define "herdctl.checkSize" -}}
{{- $name := index . 0 }}
{{- $value := index . 1 }}
{{- $text := toString $value }}
{{- $bare := or (not (kindIs "string" $value)) (regexMatch "^[0-9.]+$" $text) }}
{{- if and $bare (lt (float64 $value) 1048576.0) }}
{{- fail (printf "%s: %s has no unit and would be %s bytes: write %sMi or %sGi" $name $text $text $text $text) }}
{{- else if regexMatch "^[0-9.]+(m|u|n)$" $text }}
{{- fail (printf "%s: the unit of %s means a part of a byte: write Mi for mebibytes" $name $text) }}
{{- end }}
{{- end }}

{{/* All sizes of the values. */}}
{{- define "herdctl.checkSizes" -}}
{{- include "herdctl.checkSize" (list "store.storage.size" .Values.store.storage.size) }}
{{- range $part := list "controller" "store" "gateway" "agent" "ship" }}
{{- $resources := get (get $.Values $part) "resources" }}
{{- range $which := list "requests" "limits" }}
{{- range $what, $quantity := get $resources $which | default dict }}
{{- if or (eq $what "memory") (eq $what "ephemeral-storage") (hasPrefix "hugepages-" $what) }}
{{- include "herdctl.checkSize" (list (printf "%s.resources.%s.%s" $part $which $what) $quantity) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Not a choice: the name of an APIService is its version and group. */}}
{{- define "herdctl.gateway.apiService" -}}
output-v1.herdctl.dev
{{- end }}
