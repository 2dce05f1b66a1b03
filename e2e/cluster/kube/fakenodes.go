package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	coordv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	fakeKey    = "kipu.dev/fake" // label and taint of a simulated node
	exitKey    = "kipu.dev/exit" // annotation of a pod: the exit code it ends with, 0 unless told
	fakePrefix = "fake-"
	leaseNS    = "kube-node-lease"
)

// simulator holds nodes that have no machine: a pod bound to one of them
// reports Running, then an end, with no container behind it. It serves tests
// of scale, where a real container's half second of CPU would be all one sees.
type simulator struct {
	client kubernetes.Interface
	run    time.Duration
	queue  chan step
	begun  sync.Map // UIDs already queued to run
	ended  sync.Map // UIDs already queued to be removed
}

// step is one write owed to a pod: its next phase, or its removal (no phase).
type step struct {
	pod   *v1.Pod
	phase v1.PodPhase
}

func fakenodes(args []string) int {
	fs := flag.NewFlagSet("fakenodes", flag.ExitOnError)
	nodes := fs.Int("nodes", 10, "simulated nodes")
	run := fs.Duration("run", 0, "how long each pod runs (0: straight to its end)")
	workers := fs.Int("workers", 32, "status writers")
	fs.Parse(args)
	cfg, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "fakenodes: no cluster: set KUBECONFIG:", err)
		return 1
	}
	cfg.QPS, cfg.Burst = 5000, 10000
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	s := &simulator{client: kubernetes.NewForConfigOrDie(cfg), run: *run, queue: make(chan step, 100000)}
	ctx := context.Background()
	for i := range *nodes {
		if err := s.join(ctx, fmt.Sprint(fakePrefix, i)); err != nil {
			fmt.Fprintln(os.Stderr, "fakenodes:", err)
			return 1
		}
	}
	go s.heartbeat(ctx, *nodes)
	for range *workers {
		go s.write(ctx)
	}
	pods := cache.NewListWatchFromClient(s.client.CoreV1().RESTClient(), "pods", v1.NamespaceAll,
		fields.OneTermNotEqualSelector("spec.nodeName", ""))
	informer := cache.NewSharedInformer(pods, &v1.Pod{}, 0)
	informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: s.observe, UpdateFunc: func(_, o any) { s.observe(o) }})
	fmt.Println("fakenodes: ready")
	informer.Run(ctx.Done())
	return 0
}

func (s *simulator) join(ctx context.Context, name string) error {
	room := v1.ResourceList{v1.ResourceCPU: resource.MustParse("1000"),
		v1.ResourceMemory: resource.MustParse("1Ti"), v1.ResourcePods: resource.MustParse("10000")}
	node := &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{fakeKey: "true", "kubernetes.io/hostname": name}},
		Spec:       v1.NodeSpec{Taints: []v1.Taint{{Key: fakeKey, Effect: v1.TaintEffectNoSchedule}}},
	}
	if _, err := s.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	now := metav1.Now()
	status, err := json.Marshal(map[string]any{"status": v1.NodeStatus{Capacity: room, Allocatable: room,
		Conditions: []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "Simulated",
			LastHeartbeatTime: now, LastTransitionTime: now}}}})
	if err != nil {
		return err
	}
	_, err = s.client.CoreV1().Nodes().Patch(ctx, name, types.StrategicMergePatchType, status, metav1.PatchOptions{}, "status")
	return err
}

// heartbeat renews the leases, without which the nodes would turn NotReady.
func (s *simulator) heartbeat(ctx context.Context, nodes int) {
	leases := s.client.CoordinationV1().Leases(leaseNS)
	for ; ; time.Sleep(10 * time.Second) {
		for i := range nodes {
			name, now, seconds := fmt.Sprint(fakePrefix, i), metav1.NowMicro(), int32(40)
			spec := coordv1.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &now}
			lease, err := leases.Get(ctx, name, metav1.GetOptions{})
			if err == nil {
				lease.Spec = spec
				_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
			} else if apierrors.IsNotFound(err) {
				_, err = leases.Create(ctx, &coordv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: leaseNS}, Spec: spec}, metav1.CreateOptions{})
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "fakenodes: lease:", err)
			}
		}
	}
}

// observe queues each pod of ours once to run and once to be removed.
func (s *simulator) observe(o any) {
	p := o.(*v1.Pod)
	if !strings.HasPrefix(p.Spec.NodeName, fakePrefix) {
		return
	}
	if p.DeletionTimestamp != nil {
		if _, dup := s.ended.LoadOrStore(p.UID, true); !dup {
			s.queue <- step{pod: p}
		}
		return
	}
	if p.Status.Phase != v1.PodPending {
		return
	}
	if _, dup := s.begun.LoadOrStore(p.UID, true); dup {
		return
	}
	if s.run > 0 {
		s.queue <- step{p, v1.PodRunning}
	} else {
		s.queue <- step{p, v1.PodSucceeded}
	}
}

func (s *simulator) write(ctx context.Context) {
	for w := range s.queue {
		err := s.apply(ctx, w)
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			fmt.Fprintln(os.Stderr, "fakenodes: pod:", err)
		}
	}
}

func (s *simulator) apply(ctx context.Context, w step) error {
	pods := s.client.CoreV1().Pods(w.pod.Namespace)
	if w.phase == "" {
		now := int64(0)
		return pods.Delete(ctx, w.pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &w.pod.UID}})
	}
	now := metav1.Now()
	var state v1.ContainerState
	if w.phase == v1.PodRunning {
		state.Running = &v1.ContainerStateRunning{StartedAt: now}
		time.AfterFunc(s.run, func() { s.queue <- step{w.pod, v1.PodSucceeded} })
	} else {
		state.Terminated = &v1.ContainerStateTerminated{StartedAt: now, FinishedAt: now, Reason: "Completed"}
		fmt.Sscan(w.pod.Annotations[exitKey], &state.Terminated.ExitCode)
		if state.Terminated.ExitCode != 0 {
			w.phase, state.Terminated.Reason = v1.PodFailed, "Error"
		}
	}
	status := v1.PodStatus{Phase: w.phase, StartTime: &now, PodIP: "10.250.0.1"}
	for _, c := range w.pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses,
			v1.ContainerStatus{Name: c.Name, Image: c.Image, State: state, Ready: w.phase == v1.PodRunning})
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": w.pod.UID}, "status": status})
	if err != nil {
		return err
	}
	_, err = pods.Patch(ctx, w.pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}
