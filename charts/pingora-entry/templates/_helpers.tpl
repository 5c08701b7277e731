{{- define "pingora-entry.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "pingora-entry.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "pingora-entry.selectorLabels" -}}
app.kubernetes.io/name: {{ include "pingora-entry.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pingora-entry.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "pingora-entry.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "pingora-entry.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "pingora-entry.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "pingora-entry.image" -}}
{{- with .Values.image -}}
{{- if .registry }}{{ .registry }}/{{ end }}{{ .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end }}
{{- end }}

{{/* A probe: over HTTP, or by the native client when there is no admin port. */}}
{{- define "pingora-entry.probe" -}}
{{- if .root.Values.admin.port -}}
httpGet: { path: {{ .path }}, port: admin }
{{- else -}}
exec: { command: [{{ .root.Values.entrypoint }}, healthcheck, {{ .flag }}] }
{{- end }}
{{ toYaml .timing }}
{{- end }}

{{/* The port of a listener, or nothing: unix sockets, port 0 and ${VARIABLES} have none that is known here. */}}
{{- define "pingora-entry.listenerPort" -}}
{{- $address := toString (default (default "" .udp) .tcp) }}
{{- $port := regexFind "[0-9]+$" $address }}
{{- if and (not (contains "$" $address)) (ne $port "0") }}{{ $port }}{{ end }}
{{- end }}

{{/* services and listeners as they go into the file; the page that says hello when none are given */}}
{{- define "pingora-entry.configured" -}}
{{- if or .Values.services .Values.configFromImage .Values.args -}}
{{ dict "services" .Values.services "listeners" .Values.listeners | toJson }}
{{- else -}}
{{- $page := "const server = require('http').createServer((request, response) => response.end('Hello from pingora-entry\\n')).listen({ fd: 3 }); process.on('SIGTERM', () => server.close())" }}
{{- $hello := dict "command" (list (printf "%s/node" (dir .Values.entrypoint)) "-e" $page) "listeners" (list "http") "readinessProbe" (dict "httpGet" (dict "listener" "http") "periodSeconds" 1) }}
{{ dict "services" (dict "hello" $hello) "listeners" (dict "http" (dict "tcp" "0.0.0.0:8080")) | toJson }}
{{- end }}
{{- end }}

{{/* The configuration file. */}}
{{- define "pingora-entry.config" -}}
{{- $configured := include "pingora-entry.configured" . | fromJson }}
{{- $admin := dict "tcp" (ternary "off" (printf "0.0.0.0:%d" (int .Values.admin.port)) (eq 0 (int .Values.admin.port))) }}
{{- $own := dict "services" $configured.services "listeners" $configured.listeners "shutdown" .Values.shutdown "admin" $admin }}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) (deepCopy $own)) }}
{{- end }}
