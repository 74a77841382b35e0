{{/* The variables of a service: deskpulse.environment of (dict "root" $ "component" …). */}}

{{/* Of (dict "root" $ "connections" …), the Secret of ours that has the password. */}}
{{- define "deskpulse.kafka" -}}
{{- $connections := .connections -}}
{{- with .root.Values.kafka -}}
- {name: DESKPULSE_KAFKA_BOOTSTRAP, value: {{ .bootstrap | quote }}}
- {name: DESKPULSE_KAFKA_SECURITY_PROTOCOL, value: {{ .securityProtocol }}}
{{- if hasPrefix "SASL" .securityProtocol }}
- {name: DESKPULSE_KAFKA_SASL_MECHANISM, value: {{ .sasl.mechanism }}}
{{- if .sasl.existingSecret }}
- name: DESKPULSE_KAFKA_SASL_USERNAME
  valueFrom: {secretKeyRef: {name: {{ .sasl.existingSecret }}, key: {{ .sasl.usernameKey }}}}
- name: DESKPULSE_KAFKA_SASL_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .sasl.existingSecret }}, key: {{ .sasl.passwordKey }}}}
{{- else }}
- {name: DESKPULSE_KAFKA_SASL_USERNAME, value: {{ .sasl.username | quote }}}
- name: DESKPULSE_KAFKA_SASL_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $connections }}, key: kafka-password}}
{{- end }}
{{- end }}
{{- if hasSuffix "SSL" .securityProtocol }}
{{ include "deskpulse.tls" (dict "prefix" "DESKPULSE_KAFKA_SSL" "folder" "/etc/deskpulse-tls/kafka" "tls" .tls) }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "deskpulse.redis" -}}
{{- $connections := include "deskpulse.connections" . -}}
{{- with .Values.redis -}}
{{- if and .existingSecret .urlKey -}}
- name: DESKPULSE_REDIS_URL
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: {{ .urlKey }}}}
{{- else -}}
- {name: DESKPULSE_REDIS_URL, value: {{ .url | quote }}}
{{- end }}
- {name: DESKPULSE_REDIS_CLUSTER, value: {{ .cluster | quote }}}
{{- if and .existingSecret .usernameKey }}
- name: DESKPULSE_REDIS_USERNAME
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: {{ .usernameKey }}}}
{{- else if .username }}
- {name: DESKPULSE_REDIS_USERNAME, value: {{ .username | quote }}}
{{- end }}
{{- if .existingSecret }}
{{- if .passwordKey }}
- name: DESKPULSE_REDIS_PASSWORD
  # A Secret may have the password in its URL.
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: {{ .passwordKey }}, optional: {{ ne .urlKey "" }}}}
{{- end }}
{{- else if .password }}
- name: DESKPULSE_REDIS_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $connections }}, key: redis-password}}
{{- end }}
{{ include "deskpulse.tls" (dict "prefix" "DESKPULSE_REDIS_SSL" "folder" "/etc/deskpulse-tls/redis" "tls" .tls) }}
{{- end -}}
{{- end -}}

{{/* Of (dict "prefix" … "folder" … "tls" …). */}}
{{- define "deskpulse.tls" -}}
- {name: {{ .prefix }}_CHECK_HOSTNAME, value: {{ .tls.checkHostname | quote }}}
{{- if .tls.existingSecret }}
{{- if .tls.caKey }}
- {name: {{ .prefix }}_CAFILE, value: {{ .folder }}/{{ .tls.caKey }}}
{{- end }}
{{- if .tls.certKey }}
- {name: {{ .prefix }}_CERTFILE, value: {{ .folder }}/{{ .tls.certKey }}}
{{- end }}
{{- if .tls.keyKey }}
- {name: {{ .prefix }}_KEYFILE, value: {{ .folder }}/{{ .tls.keyKey }}}
{{- end }}
{{- if .tls.keyPasswordKey }}
- name: {{ .prefix }}_KEY_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .tls.existingSecret }}, key: {{ .tls.keyPasswordKey }}}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "deskpulse.environment" -}}
{{- $root := .root -}}
{{- $component := .component -}}
- {name: DESKPULSE_CONFIG, value: /etc/deskpulse/deskpulse.yaml}
{{- with include "deskpulse.port" .component }}
- {name: DESKPULSE_{{ upper $component }}_PORT, value: {{ . | quote }}}
{{- end }}
{{- if has .component (list "metrics" "alerts") }}
# A name that outlives the pod: Kafka gives its partitions back to it, with nobody else's moved.
- {name: DESKPULSE_INSTANCE_ID, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
{{- end }}
{{- if eq .component "ingest" }}
{{- with $root.Values.ingest.spool }}
{{- if .enabled }}
- {name: DESKPULSE_SPOOL_DIR, value: /var/lib/deskpulse/spool}
{{- end }}
- {name: DESKPULSE_SPOOL_MAX_BYTES, value: {{ include "deskpulse.text" (ternary .maxBytes 0 .enabled) | quote }}}
{{- end }}
{{- end }}
{{- range $name, $value := $root.Values.settings }}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) }}
- {name: DESKPULSE_{{ snakecase $name | upper }}, value: {{ include "deskpulse.text" $value | quote }}}
{{- end }}
{{- end }}
{{- if ne .component "api" }}
{{ include "deskpulse.kafka" (dict "root" $root "connections" (include "deskpulse.connections" $root)) }}
{{- end }}
{{ include "deskpulse.redis" $root }}
{{- with (get $root.Values .component | default dict).extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The Secrets whose keys are variables that the document names. */}}
{{- define "deskpulse.secrets" -}}
{{- $names := .Values.secrets.existing -}}
{{- if .Values.secrets.values }}{{ $names = append $names (printf "%s-document" (include "deskpulse.fullname" .)) }}{{ end -}}
{{- $entries := list -}}
{{- range $names }}{{ $entries = append $entries (dict "secretRef" (dict "name" .)) }}{{ end -}}
{{- if $entries }}{{ toYaml $entries }}{{ end -}}
{{- end -}}

{{/* The PEM files of (dict "root" $ "volumes" true|false "redis" true|false), as volumes or as mounts. */}}
{{- define "deskpulse.pem" -}}
{{- $root := .root -}}
{{- $volumes := .volumes -}}
{{- $wanted := list -}}
{{- if hasSuffix "SSL" $root.Values.kafka.securityProtocol }}{{ $wanted = append $wanted "kafka" }}{{ end -}}
{{- if .redis }}{{ $wanted = append $wanted "redis" }}{{ end -}}
{{- $entries := list -}}
{{- range $wanted -}}
{{- $secret := (get $root.Values .).tls.existingSecret -}}
{{- $name := printf "%s-tls" . -}}
{{- if and $secret $volumes -}}
{{- $entries = append $entries (dict "name" $name "secret" (dict "secretName" $secret "defaultMode" 0440)) -}}
{{- else if $secret -}}
{{- $entries = append $entries (dict "name" $name "mountPath" (printf "/etc/deskpulse-tls/%s" .) "readOnly" true) -}}
{{- end -}}
{{- end -}}
{{- if $entries }}{{ toYaml $entries }}{{ end -}}
{{- end -}}
