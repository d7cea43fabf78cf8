{{- define "herdctl.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* The prefix of all names. It leaves room for "-controller" in a DNS label. */}}
{{- define "herdctl.fullname" -}}
{{- $name := include "herdctl.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if or (hasPrefix "herd" .Release.Name) (contains $name .Release.Name) }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
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

{{- define "herdctl.controller.selectorLabels" -}}
{{ include "herdctl.instanceLabels" . }}
app.kubernetes.io/component: controller
{{- end }}

{{- define "herdctl.controller.labels" -}}
{{ include "herdctl.labels" . }}
app.kubernetes.io/component: controller
{{- end }}

{{- define "herdctl.operatorImage" -}}
{{- default (printf "%s/herdctl-operator:%s" .Values.imageRegistry .Chart.AppVersion) .Values.operator.image }}
{{- end }}

{{- define "herdctl.agentImage" -}}
{{- default (printf "%s/herdctl-agent:%s" .Values.imageRegistry .Chart.AppVersion) .Values.agent.image }}
{{- end }}
