// Package option stands in for that of Google's API client, which Prometheus' remote write refers to: see go.mod.
package option

type (
	ClientOption    interface{}
	CredentialsType string
)

const ServiceAccount CredentialsType = "service_account"

func WithScopes(...string) ClientOption                            { return nil }
func WithCredentials(any) ClientOption                             { return nil }
func WithAuthCredentialsFile(CredentialsType, string) ClientOption { return nil }
