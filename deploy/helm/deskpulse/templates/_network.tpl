{{/* What NetworkPolicies are made of. */}}

{{/* Ports in a text such as redis://:secret@host:6379/0 or host:9092,other:9093, separated by commas. */}}
{{- define "deskpulse.portsIn" -}}
{{- $default := .default -}}
{{- $ports := list -}}
{{- range splitList "," (regexReplaceAll "[a-z]+://([^@/,]*@)?" .text "") -}}
{{- $ports = append $ports (regexFind ":[0-9]+(/.*)?$" . | regexFind "[0-9]+" | default $default) -}}
{{- end -}}
{{- $ports | uniq | join "," -}}
{{- end -}}

{{/* One rule: of (dict "to" peers "ports" "9092,9093"). */}}
{{- define "deskpulse.towards" -}}
- ports:
    {{- range splitList "," .ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Of (dict "root" $ "to" (list "kafka" "redis" "receivers")): names, and these. */}}
{{- define "deskpulse.egress" -}}
{{- $values := .root.Values -}}
{{- $ways := .to -}}
{{- with $values.networkPolicy -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- if has "kafka" $ways }}
{{ include "deskpulse.towards" (dict "to" .kafka.to "ports" (.kafka.ports | join "," | default (include "deskpulse.portsIn" (dict "text" $values.kafka.bootstrap "default" "9092")))) }}
{{- end }}
{{- if has "redis" $ways }}
{{ include "deskpulse.towards" (dict "to" .redis.to "ports" (.redis.ports | join "," | default (include "deskpulse.portsIn" (dict "text" $values.redis.url "default" "6379")))) }}
{{- end }}
{{- if and (has "receivers" $ways) .receivers.ports }}
{{ include "deskpulse.towards" (dict "to" .receivers.to "ports" (.receivers.ports | join ",")) }}
{{- end }}
{{- with .extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
{{- end -}}
