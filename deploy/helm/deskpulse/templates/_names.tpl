{{/* What objects are called, and the labels that they are found by. */}}

{{- define "deskpulse.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for what is appended: a pod's name with its revision is a label, and labels end at 63. */}}
{{- define "deskpulse.fullname" -}}
{{- $name := include "deskpulse.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Of (dict "root" $ "component" …). Selectors never change: a StatefulSet's cannot. */}}
{{- define "deskpulse.selector" -}}
app.kubernetes.io/name: {{ include "deskpulse.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "deskpulse.labels" -}}
{{ include "deskpulse.selector" . }}
app.kubernetes.io/part-of: deskpulse
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "deskpulse.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{- with .Values.image -}}
{{- if .digest }}{{ printf "%s@%s" .repository .digest }}{{ else }}{{ printf "%s:%s" .repository $tag }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "deskpulse.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "deskpulse.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "deskpulse.configMap" -}}
{{- default (printf "%s-config" (include "deskpulse.fullname" .)) .Values.existingConfigMap -}}
{{- end -}}

{{- define "deskpulse.connections" -}}
{{- printf "%s-connections" (include "deskpulse.fullname" .) -}}
{{- end -}}

{{/* The port that each service listens on by default. */}}
{{- define "deskpulse.port" -}}
{{- get (dict "ingest" "8080" "metrics" "8081" "alerts" "8082" "api" "8090") . -}}
{{- end -}}

{{/* A number as people write it: those of a values file come as floating point. */}}
{{- define "deskpulse.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}
