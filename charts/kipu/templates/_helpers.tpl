{{- define "kipu.fullname" -}}
{{- if contains "kipu" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-kipu" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "kipu.selector" -}}
app.kubernetes.io/name: kipu
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* managed-by is Helm here: what Kipu itself makes carries managed-by kipu, and the operator watches that. */}}
{{- define "kipu.labels" -}}
{{ include "kipu.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "kipu.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "kipu.fullname" .) }}
{{- end }}

{{- define "kipu.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "kipu.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "kipu.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}
