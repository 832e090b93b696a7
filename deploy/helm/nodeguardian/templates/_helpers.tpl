{{- define "nodeguardian.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What the Deployment, its Service and its monitors find each other by. It never changes. */}}
{{- define "nodeguardian.selector" -}}
app.kubernetes.io/name: nodeguardian
app.kubernetes.io/component: controller
{{- end -}}

{{- define "nodeguardian.labels" -}}
app.kubernetes.io/name: nodeguardian
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "nodeguardian.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "nodeguardian.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "nodeguardian.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The steps of rights that the profile takes. */}}
{{- define "nodeguardian.steps" -}}
{{- index (dict "detect" "detect" "alert" "detect alert" "cordon" "detect alert cordon" "full" "detect alert cordon evict") .Values.profile -}}
{{- end -}}

{{/*
The configuration: what is given, over the shipped one. Below the profile cordon every rule is a dry run, and below
alert there is no receiver, whatever is given.
*/}}
{{- define "nodeguardian.config" -}}
{{- $config := mergeOverwrite (.Files.Get "files/config.json" | fromJson) (deepCopy .Values.config) -}}
{{- if has .Values.profile (list "detect" "alert") -}}
{{- $_ := set $config "safety" (mergeOverwrite (deepCopy ($config.safety | default dict)) (dict "dryRun" true)) -}}
{{- end -}}
{{- if eq .Values.profile "detect" -}}
{{- $receivers := list "slack" "dingtalk" "wecom" "feishu" "teams" "telegram" "pagerduty" "alertmanager" -}}
{{- range $receivers -}}
{{- $_ := unset $config . -}}
{{- end -}}
{{- $_ := set $config "email" (mergeOverwrite (deepCopy ($config.email | default dict)) (dict "to" list)) -}}
{{- $_ := set $config "alert" (mergeOverwrite (deepCopy ($config.alert | default dict)) (dict "defaultChannels" (list "log") "webhookUrl" "")) -}}
{{- if $config.nodeMonitor -}}
{{- $monitor := omit $config.nodeMonitor "channels" "webhook" -}}
{{- range $receivers -}}
{{- $_ := unset $monitor . -}}
{{- end -}}
{{- $_ := set $config "nodeMonitor" $monitor -}}
{{- end -}}
{{- end -}}
{{- toPrettyJson $config -}}
{{- end -}}
