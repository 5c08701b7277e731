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

{{/* Every key once: what selects the pods is nobody's to change, the rest is. */}}
{{- define "pingora-entry.labels" -}}
{{- $chart := printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- $rest := dict "helm.sh/chart" $chart "app.kubernetes.io/version" .Chart.AppVersion "app.kubernetes.io/managed-by" .Release.Service }}
{{- toYaml (merge (include "pingora-entry.selectorLabels" . | fromYaml) (deepCopy (default dict .Values.commonLabels)) $rest) }}
{{- end }}

{{- define "pingora-entry.podLabels" -}}
{{- toYaml (merge (include "pingora-entry.selectorLabels" . | fromYaml) (deepCopy (default dict .Values.podLabels)) (default dict .Values.commonLabels)) }}
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

{{/* Fails for a listener whose address the start would refuse, as far as that can be seen here. */}}
{{- define "pingora-entry.listenerAddress" -}}
{{- range $kind := list "tcp" "udp" }}
{{- $address := get $.listener $kind | toString }}
{{- if not (or (has $address (list "" "<nil>")) (contains "$" $address)) }}
{{- if not (regexMatch "^((\\[[^]]*\\]|[^:]*):)?[0-9]+$" $address) }}
{{- fail (printf "listeners.%s.%s: %q is no address to listen on: needs \"host:port\", \":port\" or a port" $.name $kind $address) }}
{{- end }}
{{- if gt (regexFind "[0-9]+$" $address | float64) 65535.0 }}
{{- fail (printf "listeners.%s.%s: port %s is too large, the most is 65535" $.name $kind (regexFind "[0-9]+$" $address)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The port of a listener, or nothing: unix sockets, port 0 and ${VARIABLES} have none that is known here. */}}
{{- define "pingora-entry.listenerPort" -}}
{{- $address := toString (default (default "" .udp) .tcp) }}
{{- $port := regexFind "[0-9]+$" $address }}
{{- if and (not (contains "$" $address)) (ne $port "0") }}{{ $port }}{{ end }}
{{- end }}

{{/* A listener's name as the name of a port: lower case, single dashes, a letter in it, at most 15, none that `taken` has. */}}
{{- define "pingora-entry.portName" -}}
{{- $name := regexReplaceAll "[^a-z0-9]+" (lower .name) "-" | trimAll "-" }}
{{- if not (regexMatch "[a-z]" $name) }}{{- $name = printf "p-%s" $name }}{{- end }}
{{- $short := $name | trunc 15 | trimSuffix "-" }}
{{- $try := $short }}
{{- range $n := untilStep 2 100 1 }}
{{- if hasKey $.taken $try }}{{- $try = printf "%s-%d" ($short | trunc 12 | trimSuffix "-") $n }}{{- end }}
{{- end }}
{{- $try }}
{{- end }}

{{/* { listener: { name, port, protocol } } as JSON, of the listeners that have a port. Fails for one on the admin port. */}}
{{- define "pingora-entry.ports" -}}
{{- $taken := dict "admin" true }}
{{- $ports := dict }}
{{- $admin := int .Values.admin.port }}
{{- range $name, $listener := (include "pingora-entry.configured" . | fromJson).listeners }}
{{- include "pingora-entry.listenerAddress" (dict "name" $name "listener" (default dict $listener)) }}
{{- with include "pingora-entry.listenerPort" $listener | int }}
{{- $protocol := ternary "UDP" "TCP" (hasKey $listener "udp") }}
{{- if and (eq . $admin) (eq $protocol "TCP") }}
{{- fail (printf "listeners.%s: port %d is admin.port, where /livez and /metrics are: give one of them another" $name .) }}
{{- end }}
{{- $short := include "pingora-entry.portName" (dict "name" $name "taken" $taken) }}
{{- $_ := set $taken $short true }}
{{- $_ := set $ports $name (dict "name" $short "port" . "protocol" $protocol) }}
{{- end }}
{{- end }}
{{- toJson $ports }}
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
