// One multi-call binary holds the whole of a small cluster: etcd, the
// control plane, the kubelet, kubectl, helm, a name server and simulated nodes. They
// share the Kubernetes libraries, which thus compile and link once: this is
// what keeps a build from nothing near six minutes on two cores.
//
// The program is chosen by the base name of argv[0], else by argv[1].
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

var programs = []string{"etcd", "kube-apiserver", "kube-controller-manager",
	"kube-scheduler", "kubelet", "kubectl", "helm", "dns", "fakenodes"}

func main() {
	name := filepath.Base(os.Args[0])
	if !slices.Contains(programs, name) && len(os.Args) > 1 {
		name = os.Args[1]
		os.Args = append([]string{name}, os.Args[2:]...)
	}
	os.Exit(run(name))
}

func run(name string) int {
	var c *cobra.Command
	switch name {
	case "etcd":
		etcdmain.Main(os.Args)
		return 0
	case "fakenodes":
		return fakenodes(os.Args[1:])
	case "dns":
		return dns(os.Args[1:])
	case "helm":
		return helm(os.Args[1:])
	case "kubectl":
		// kubectl reports its own errors and chooses their exit codes
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	case "kube-apiserver":
		c = apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		c = controllers.NewControllerManagerCommand()
	case "kube-scheduler":
		c = scheduler.NewSchedulerCommand()
	case "kubelet":
		c = kubelet.NewKubeletCommand(context.Background())
	default:
		fmt.Fprintln(os.Stderr, "usage: kube PROGRAM ...  where PROGRAM is one of", programs)
		return 2
	}
	return cli.Run(c)
}
