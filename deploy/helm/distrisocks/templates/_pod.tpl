{{/* What the pods of both services have in common. */}}
{{- define "distrisocks.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
ports:
  - name: http
    containerPort: 3000
livenessProbe:
  httpGet: { path: /livez, port: http }
readinessProbe:
  httpGet: { path: /readyz, port: http }
resources: {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities: { drop: [ALL] }
volumeMounts:
  - name: config
    mountPath: /etc/distrisocks
{{- end }}

{{- define "distrisocks.environment" -}}
- name: CONFIG
  value: /etc/distrisocks/config.json
- name: LISTEN
  value: 0.0.0.0:3000
- name: JWT_SECRET
  valueFrom:
    secretKeyRef: { name: {{ .Values.existingSecret }}, key: jwt-secret }
{{- end }}
