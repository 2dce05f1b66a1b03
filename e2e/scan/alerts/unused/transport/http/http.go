// Package http stands in for that of Google's API client: nothing here writes to Google, and if it did, it fails.
package http

import (
	"context"
	"errors"
	"net/http"

	"google.golang.org/api/option"
)

func NewTransport(context.Context, http.RoundTripper, ...option.ClientOption) (http.RoundTripper, error) {
	return nil, errors.New("this program does not write to Google")
}
