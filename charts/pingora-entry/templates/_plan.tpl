{{/*
The shutdown plan as JSON: { waves: [{ names, graceSeconds }] in stop order, lameDuckSeconds, reserveSeconds, sum, grace }, the sums that
`pingora-entry check` makes. Fails for a plan that cannot hold, an unknown dependency, a circle.
*/}}
{{- define "pingora-entry.plan" -}}
{{- $services := (include "pingora-entry.configured" . | fromJson).services }}
{{- if .Values.args }}{{- $services = merge (dict "main" (dict)) $services }}{{- end }}
{{- $needs := include "pingora-entry.needs" $services | fromJson }}

{{- /* the wave of a service is one after the latest of its needs: settled after as many rounds as there are services */}}
{{- $wave := dict }}
{{- range $round := until (add1 (len $needs) | int) }}
{{- range $name, $names := $needs }}
{{- $after := 0 }}
{{- range $names }}{{- $after = max $after (add1 (default 0 (get $wave .))) }}{{- end }}
{{- $_ := set $wave $name $after }}
{{- end }}
{{- end }}
{{- $circle := list }}
{{- range $name, $number := $wave }}{{- if ge (int $number) (len $needs) }}{{- $circle = append $circle $name }}{{- end }}{{- end }}
{{- if $circle }}{{- fail (printf "services: cannot order %s: their dependsOn makes a circle" (join ", " $circle)) }}{{- end }}

{{- $duck := ternary 5 .Values.shutdown.lameDuckSeconds (eq "auto" (toString .Values.shutdown.lameDuckSeconds)) | float64 }}
{{- $reserve := .Values.shutdown.reserveSeconds | float64 }}
{{- $sum := addf $duck $reserve }}
{{- $waves := list }}
{{- range $number := until (len $needs) | reverse }}
{{- $names := list }}{{- $slowest := "" }}
{{- range $name, $of := $wave }}
{{- if eq (int $of) $number }}
{{- $service := default dict (get $services $name) }}
{{- $grace := get (default dict $service.stop) "graceSeconds" | toString }}
{{- $given := and (ne "" $grace) (ne "<nil>" $grace) }}
{{- /* a oneshot has ended long before */}}
{{- if or $given (ne "oneshot" (toString $service.type)) }}{{- $names = append $names $name }}{{- end }}
{{- if $given }}{{- $slowest = maxf (default 0 $slowest) ($grace | float64) | toString }}{{- end }}
{{- end }}
{{- end }}
{{- if $names }}
{{- $waves = append $waves (dict "names" $names "graceSeconds" $slowest) }}
{{- if ne "" $slowest }}{{- $sum = addf $sum ($slowest | float64) }}{{- end }}
{{- end }}
{{- end }}
{{- $grace := .Values.terminationGracePeriodSeconds | float64 }}
{{- if gt $sum $grace }}
{{- $parts := list (printf "lame duck %v" $duck) }}
{{- range $waves }}{{- if ne "" .graceSeconds }}{{- $parts = append $parts (printf "%s %s" (join ", " .names) .graceSeconds) }}{{- end }}{{- end }}
{{- fail (printf "shutdown: the stop needs %v s (%s + reserve %v) but the pod grants %v s: raise terminationGracePeriodSeconds, or lower shutdown.lameDuckSeconds or stop.graceSeconds" $sum (join " + " $parts) $reserve $grace) }}
{{- end }}
{{- dict "waves" $waves "lameDuckSeconds" $duck "reserveSeconds" $reserve "sum" $sum "grace" $grace | toJson }}
{{- end }}

{{/* { service: [what it needs] } as JSON. A main that says nothing comes after all that do not need it. */}}
{{- define "pingora-entry.needs" -}}
{{- $services := . }}
{{- $needs := dict }}
{{- range $name, $service := $services }}
{{- $on := list }}
{{- with $service }}{{- if .dependsOn }}{{- $on = ternary .dependsOn (keys (ternary dict .dependsOn (kindIs "slice" .dependsOn))) (kindIs "slice" .dependsOn) }}{{- end }}{{- end }}
{{- range $on }}
{{- if not (hasKey $services .) }}{{- fail (printf "services.%s.dependsOn: unknown service %q, there are: %s" $name . (keys $services | sortAlpha | join ", ")) }}{{- end }}
{{- end }}
{{- $_ := set $needs $name $on }}
{{- end }}
{{- if hasKey $services "main" }}
{{- if not (hasKey (default dict $services.main) "dependsOn") }}
{{- /* who needs main, also through others */}}
{{- $after := dict "main" true }}
{{- range until (len $needs) }}
{{- range $name, $names := $needs }}{{- range $names }}{{- if hasKey $after . }}{{- $_ := set $after $name true }}{{- end }}{{- end }}{{- end }}
{{- end }}
{{- $others := list }}
{{- range $name, $_ := $needs }}{{- if not (hasKey $after $name) }}{{- $others = append $others $name }}{{- end }}{{- end }}
{{- $_ := set $needs "main" $others }}
{{- end }}
{{- end }}
{{- $needs | toJson }}
{{- end }}
