package main

import (
	"errors"
	"log/slog"
	"os"

	helmcmd "helm.sh/helm/v4/pkg/cmd"
	"helm.sh/helm/v4/pkg/kube"
)

// helm does what helm's own main does: that package is not importable.
func helm(args []string) int {
	// the name by which helm's writes are known in managedFields
	kube.ManagedFieldsManager = "helm"
	cmd, err := helmcmd.NewRootCmd(os.Stdout, args, helmcmd.SetupLogging)
	if err != nil {
		slog.Warn("helm: the command failed", slog.Any("error", err))
		return 1
	}
	if err := cmd.Execute(); err != nil {
		if e, ok := errors.AsType[helmcmd.CommandError](err); ok {
			return e.ExitCode
		}
		return 1
	}
	return 0
}
