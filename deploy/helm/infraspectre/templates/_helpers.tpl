{{- define "infraspectre.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "infraspectre.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "infraspectre.labels" -}}
{{ include "infraspectre.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "infraspectre.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* Settings: what is given, over where the chart puts files. */ -}}
{{- define "infraspectre.settings" -}}
{{- $server := dict "host" "0.0.0.0" "port" 8440 -}}
{{- if .Values.tls.secretName -}}
{{- $_ := set $server "certificate_file" "/run/infraspectre/keys/tls.crt" -}}
{{- $_ := set $server "key_file" "/run/infraspectre/keys/tls.key" -}}
{{- else -}}
{{- $_ := set $server "allow_plaintext" true -}}
{{- end -}}
{{- $own := dict "server" $server -}}
{{- if .Values.sensors.enabled -}}
{{- $keys := "/run/infraspectre/keys/sensors-" -}}
{{- $_ := set $own "sensors" (dict "listen" true "port" 8441 "certificate_file" (print $keys "tls.crt") "key_file" (print $keys "tls.key") "authority_file" (print $keys "ca.crt")) -}}
{{- end -}}
{{- if .Values.postgres.secretName -}}
{{- $_ := set $own "store" (dict "postgres_file" "/run/infraspectre/keys/postgres-dsn") -}}
{{- end -}}
{{- mergeOverwrite $own (deepCopy .Values.settings) | toYaml -}}
{{- end }}

{{- define "infraspectre.strict" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}
