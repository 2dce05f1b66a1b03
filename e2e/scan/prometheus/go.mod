// For its CRDs alone (example/prometheus-operator-crd): no program is built from it, so `go mod tidy` would drop it.
module kipu/scan/prometheus

go 1.26.6

require github.com/prometheus-operator/prometheus-operator v0.85.0
