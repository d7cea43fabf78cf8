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

{{- define "herdctl.operatorImage" -}}
{{- default (printf "%s/herdctl-operator:%s" .Values.imageRegistry .Chart.AppVersion) .Values.operator.image }}
{{- end }}

{{- define "herdctl.agentImage" -}}
{{- default (printf "%s/herdctl-agent:%s" .Values.imageRegistry .Chart.AppVersion) .Values.agent.image }}
{{- end }}

{{/* Not a choice: the name of an APIService is its version and group. */}}
{{- define "herdctl.gateway.apiService" -}}
output-v1.herdctl.dev
{{- end }}
