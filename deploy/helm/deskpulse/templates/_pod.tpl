{{/* The pod of a service, of (dict "root" $ "component" …). */}}

{{- define "deskpulse.pod" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- $own := get $root.Values $component -}}
metadata:
  labels:
    {{- /* Without the versions of chart and image: a new chart alone is no reason to restart. */}}
    {{- include "deskpulse.selector" . | nindent 4 }}
    app.kubernetes.io/part-of: deskpulse
    {{- with $own.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ $component }}
    # Secrets are read at the start. The document is not among these: services follow it.
    checksum/secrets: {{ include "deskpulse.secretData" $root | sha256sum }}
    {{- with include "deskpulse.settled" . }}
    checksum/settled: {{ . }}
    {{- end }}
    {{- with $own.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "deskpulse.serviceAccount" $root }}
  automountServiceAccountToken: false
  # Else a Service called deskpulse-ingest would set DESKPULSE_INGEST_PORT to tcp://…, which is a setting of ours.
  enableServiceLinks: false
  securityContext:
    {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  terminationGracePeriodSeconds: {{ $own.terminationGracePeriodSeconds }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  containers:
    - name: {{ $component }}
      image: {{ include "deskpulse.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [{{ $component }}]
      ports:
        - {name: http, containerPort: {{ include "deskpulse.port" $component }}}
      env:
        {{- include "deskpulse.environment" . | nindent 8 }}
      {{- with include "deskpulse.secrets" $root }}
      envFrom:
        {{- . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- toYaml $root.Values.securityContext | nindent 8 }}
      resources:
        {{- toYaml $own.resources | nindent 8 }}
      # Two minutes to begin; what is not alive then is restarted, and so is what stops being it later.
      startupProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 5
        timeoutSeconds: 4
        failureThreshold: 2
      {{- with $own.settleSeconds }}
      # Those who send requests hear at the same time as we do that this pod goes: it serves until they know.
      lifecycle: {preStop: {exec: {command: [sleep, {{ include "deskpulse.text" . | quote }}]}}}
      {{- end }}
      volumeMounts:
        # The folder, not the file: a file that is mounted by itself (subPath) never changes.
        - {name: config, mountPath: /etc/deskpulse, readOnly: true}
        - {name: tmp, mountPath: /tmp}
        {{- with include "deskpulse.pem" (dict "root" $root "volumes" false "redis" true) }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- if and (eq $component "ingest") $root.Values.ingest.spool.enabled }}
        - {name: spool, mountPath: /var/lib/deskpulse/spool}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "deskpulse.configMap" $root }}}
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
    {{- with include "deskpulse.pem" (dict "root" $root "volumes" true "redis" true) }}
    {{- . | nindent 4 }}
    {{- end }}
  {{- with $own.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- $same := dict "labelSelector" (dict "matchLabels" (include "deskpulse.selector" (dict "root" $root "component" $component) | fromYaml)) }}
    {{- range . }}
    - {{ if hasKey . "labelSelector" }}{{ . | toYaml | nindent 6 | trim }}{{ else }}{{ merge (dict) . $same | toYaml | nindent 6 | trim }}{{ end }}
    {{- end }}
  {{- end }}
{{- end -}}

{{/* What the StatefulSets and the Deployment have in common. */}}
{{- define "deskpulse.metadata" -}}
name: {{ include "deskpulse.fullname" .root }}-{{ .component }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "deskpulse.labels" . | nindent 2 }}
{{- end -}}
