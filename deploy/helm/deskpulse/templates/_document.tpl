{{/* The document that services read, and what follows from it. */}}

{{- define "deskpulse.document" -}}
{{- if kindIs "string" .Values.config }}{{ .Values.config }}{{ else }}{{ toYaml .Values.config }}{{ end -}}
{{- end -}}

{{/* The document as data, in JSON. A text that is no YAML has the one key Error. */}}
{{- define "deskpulse.decided" -}}
{{- include "deskpulse.document" . | fromYaml | toJson -}}
{{- end -}}

{{/* The ${NAME} of the document, separated by commas; those in comments do not count. */}}
{{- define "deskpulse.named" -}}
{{- $names := list -}}
{{- range regexFindAll "\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}" (include "deskpulse.decided" .) -1 -}}
{{- $names = append $names (. | trimPrefix "${" | trimSuffix "}") -}}
{{- end -}}
{{- $names | uniq | sortAlpha | join "," -}}
{{- end -}}

{{/* Of (dict "root" $ "component" …): a hash of those parts of the document that this service takes up only when it
starts. Everything else it follows by itself, so a change of that must not restart it. */}}
{{- define "deskpulse.settled" -}}
{{- $keys := get (dict "alerts" (list "receivers" "board_url" "runbooks_url" "links") "api" (list "receivers")) .component -}}
{{- if $keys -}}
{{- $decided := include "deskpulse.decided" .root | fromJson -}}
{{- $parts := dict -}}
{{- range $keys }}{{- $_ := set $parts . (get $decided . | toJson) -}}{{- end -}}
{{- $parts | toJson | sha256sum -}}
{{- end -}}
{{- end -}}
