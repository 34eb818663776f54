{{/* The name of all objects. 52 characters: Kubernetes adds up to 11 to the name of a StatefulSet. */}}
{{- define "vergewatch.fullname" -}}
{{- if contains "vergewatch" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-vergewatch" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "vergewatch.selectorLabels" -}}
app.kubernetes.io/name: vergewatch
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: daemon
{{- end -}}

{{/* Of the pod of `helm test`, which a network policy lets in. */}}
{{- define "vergewatch.testLabels" -}}
app.kubernetes.io/name: vergewatch
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{- end -}}

{{- define "vergewatch.labels" -}}
app.kubernetes.io/name: vergewatch
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "vergewatch.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* The URL of the PostgreSQL journal; empty with SQLite. */}}
{{- define "vergewatch.journalUrl" -}}
{{- dig "journal" "url" "" .Values.config -}}
{{- end -}}

{{/* What the profile `restricted` of Kubernetes' Pod Security Standards asks of a pod. */}}
{{- define "vergewatch.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "vergewatch.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/*
The probe of a path. Kubernetes' own request is refused where a web configuration file asks for a
password or a client certificate; the script of the image takes a refusal for a sign of life.
*/}}
{{- define "vergewatch.probe" -}}
{{- if dig "web" "config_file" "" .root.Values.config -}}
exec: {command: [python, -I, /opt/vergewatch/healthcheck.py, {{ .path }}]}
{{- else -}}
httpGet: {port: http, path: {{ .path }}}
{{- end -}}
{{- end -}}

{{/* The TCP ports of the URLs in `config`, as JSON. */}}
{{- define "vergewatch.egressPorts" -}}
{{- $config := .Values.config -}}
{{- $confirm := dig "recovery" "confirm" dict $config -}}
{{- $alertmanager := $config.alertmanager | default dict -}}
{{- $prometheus := $config.prometheus | default dict -}}
{{- $urls := list $config.url $config.proxy (include "vergewatch.journalUrl" .) -}}
{{- range $config.systems }}{{ $urls = append $urls .url }}{{ $urls = append $urls .proxy }}{{ end -}}
{{- $urls = concat $urls (list $confirm.url $confirm.proxy $prometheus.url $prometheus.proxy) -}}
{{- $urls = concat $urls (list $alertmanager.proxy) ($alertmanager.urls | default list) -}}
{{- $ports := list -}}
{{- range $url := compact $urls -}}
{{- if contains "://" $url -}}
{{- $parts := urlParse $url -}}
{{- $default := dict "http" "80" "https" "443" | dig $parts.scheme "5432" -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" $parts.host | trimPrefix ":" | default $default | int) -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | sortAlpha | toJson -}}
{{- end -}}
