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
{{- if not (or .Values.serviceAccount.create .Values.serviceAccount.name) }}
{{- fail "serviceAccount.create is false, so serviceAccount.name must be the name of an account that is there: set it, or let the chart create one" }}
{{- end }}
{{- .Values.serviceAccount.name | default (include "kipu.fullname" .) }}
{{- end }}

{{- /* Where `helm test` creates its Workflow: somewhere it is served. */}}
{{- define "kipu.testNamespace" -}}
{{ first .Values.watchNamespaces | default .Release.Namespace }}
{{- end }}

{{- /* Limits a policy's binding to the namespaces that this release serves: another one may serve others. */}}
{{- define "kipu.servedNamespaces" -}}
{{- with .Values.watchNamespaces -}}
- {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}
{{- end }}
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
