package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
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
	fakeKey     = "kipu.dev/fake"          // label, and taint if asked for, of a simulated node
	durationKey = "kipu.dev/sim-duration"  // annotations of a pod: how long it runs (250ms; 0 unless told)
	exitKey     = "kipu.dev/sim-exit-code" // ... the exit code of its containers (0 unless told), or one for each attempt
	outputKey   = "kipu.dev/sim-output"    // ... what they leave in their termination message
	attemptKey  = "kipu.dev/attempt"       // label of a pod: which attempt of its step it is (1 unless told)
	fakePrefix  = "fake-"
	leaseNS     = "kube-node-lease"
	messageMax  = 4096 // as the kubelet cuts it
	renewEvery  = 10 * time.Second
	retryAfter  = time.Second
	terminated  = 143 // the exit code of what SIGTERM has ended
)

// simulator holds nodes that have no machine: a pod bound to one of them
// reports Running, then an end, with no container behind it. It serves tests
// of scale, where a real container's half second of CPU would be all one sees.
//
// A pod that runs for no time at all goes straight to its end, one write: as
// the kubelet does when a container ends before it looks. What the API server
// refuses is tried again; what runs when the simulator starts is gone on with.
type simulator struct {
	client kubernetes.Interface
	run    time.Duration // of pods that do not say
	room   int           // pods that a node takes at once
	queue  chan step
	begun  sync.Map // UIDs already queued to run
	ended  sync.Map // UIDs already queued to be removed
}

// step is one write owed to a pod, which runs since `started`.
type step struct {
	pod     *v1.Pod
	started metav1.Time
	next    move
}

type move int

const (
	start  move = iota // it is Running
	finish             // its containers have ended
	remove             // somebody deleted it: its containers are ended, then it goes
)

func fakenodes(args []string) int {
	fs := flag.NewFlagSet("fakenodes", flag.ExitOnError)
	nodes := fs.Int("nodes", 10, "simulated nodes")
	room := fs.Int("pods", 10000, "pods that a node takes at once")
	tainted := fs.Bool("tainted", true, "whether pods must tolerate "+fakeKey+" to come here")
	run := fs.Duration("run", 0, "how long pods without the annotation "+durationKey+" run (0: straight to their end)")
	workers := fs.Int("workers", 32, "status writers")
	fs.Parse(args)
	cfg, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "fakenodes: no cluster: set KUBECONFIG:", err)
		return 1
	}
	cfg.QPS, cfg.Burst = 5000, 10000
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	s := &simulator{client: kubernetes.NewForConfigOrDie(cfg), run: *run, room: *room, queue: make(chan step, 100000)}
	ctx := context.Background()
	for i := range *nodes {
		name := fmt.Sprint(fakePrefix, i)
		if err := s.join(ctx, name, *tainted); err != nil {
			fmt.Fprintln(os.Stderr, "fakenodes:", err)
			return 1
		}
		go s.live(ctx, name)
	}
	for range *workers {
		go s.write(ctx)
	}
	pods := cache.NewListWatchFromClient(s.client.CoreV1().RESTClient(), "pods", v1.NamespaceAll,
		fields.OneTermNotEqualSelector("spec.nodeName", ""))
	informer := cache.NewSharedInformer(pods, &v1.Pod{}, 0)
	informer.SetTransform(func(o any) (any, error) {
		if p, ok := o.(*v1.Pod); ok {
			p.ManagedFields = nil // a third of what a pod takes here
		}
		return o, nil
	})
	informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: s.observe, UpdateFunc: func(_, o any) { s.observe(o) }, DeleteFunc: s.forget})
	fmt.Println("fakenodes: ready")
	informer.Run(ctx.Done())
	return 0
}

// join makes a node, or takes one that an earlier life has made, and says it is Ready.
func (s *simulator) join(ctx context.Context, name string, tainted bool) error {
	node := &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{fakeKey: "true", "kubernetes.io/hostname": name}},
	}
	if tainted {
		node.Spec.Taints = []v1.Taint{{Key: fakeKey, Effect: v1.TaintEffectNoSchedule}}
	}
	if _, err := s.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return s.ready(ctx, name)
}

func (s *simulator) ready(ctx context.Context, name string) error {
	room := v1.ResourceList{v1.ResourceCPU: resource.MustParse("1000"), v1.ResourceMemory: resource.MustParse("1Ti"),
		v1.ResourcePods: *resource.NewQuantity(int64(s.room), resource.DecimalSI)}
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

// live keeps a node Ready, as a kubelet does: by its Lease, and by saying so anew
// where the node controller has missed that for too long and taken it for lost.
func (s *simulator) live(ctx context.Context, name string) {
	for ; ; time.Sleep(renewEvery) {
		err := s.renew(ctx, name)
		if err == nil {
			var node *v1.Node // as the API server's cache has it
			node, err = s.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{ResourceVersion: "0"})
			if err == nil && !isReady(node) {
				err = s.ready(ctx, name)
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "fakenodes: node:", err)
		}
	}
}

func (s *simulator) renew(ctx context.Context, name string) error {
	leases := s.client.CoordinationV1().Leases(leaseNS)
	now, seconds := metav1.NowMicro(), int32(40)
	lease := &coordv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: leaseNS},
		Spec: coordv1.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &now}}
	patch, err := json.Marshal(map[string]any{"spec": lease.Spec})
	if err != nil {
		return err
	}
	_, err = leases.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, lease, metav1.CreateOptions{})
	}
	return err
}

func isReady(node *v1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(c v1.NodeCondition) bool {
		return c.Type == v1.NodeReady && c.Status == v1.ConditionTrue
	})
}

// observe queues each pod of ours once to run and once to be removed.
func (s *simulator) observe(o any) {
	p := o.(*v1.Pod)
	if !strings.HasPrefix(p.Spec.NodeName, fakePrefix) {
		return
	}
	if p.DeletionTimestamp != nil {
		if _, dup := s.ended.LoadOrStore(p.UID, true); !dup {
			s.queue <- step{pod: p, next: remove}
		}
		return
	}
	if p.Status.Phase != v1.PodPending && p.Status.Phase != v1.PodRunning {
		return
	}
	if _, dup := s.begun.LoadOrStore(p.UID, true); dup {
		return
	}
	switch {
	case p.Status.Phase == v1.PodRunning && p.Status.StartTime != nil: // since an earlier life of ours
		s.finishLater(p, *p.Status.StartTime)
	case s.duration(p) > 0:
		s.queue <- step{p, metav1.Now(), start}
	default:
		s.queue <- step{p, metav1.Now(), finish}
	}
}

func (s *simulator) forget(o any) {
	if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	if p, ok := o.(*v1.Pod); ok {
		s.begun.Delete(p.UID)
		s.ended.Delete(p.UID)
	}
}

func (s *simulator) duration(p *v1.Pod) time.Duration {
	if d, err := time.ParseDuration(p.Annotations[durationKey]); err == nil {
		return d
	}
	return s.run
}

func (s *simulator) finishLater(p *v1.Pod, since metav1.Time) {
	time.AfterFunc(time.Until(since.Add(s.duration(p))), func() { s.queue <- step{p, since, finish} })
}

// write carries out what is owed. What was refused for any other reason than that
// its pod is gone is owed again a little later.
func (s *simulator) write(ctx context.Context) {
	for w := range s.queue {
		err := s.apply(ctx, w)
		switch {
		case apierrors.IsNotFound(err) || apierrors.IsConflict(err):
		case err != nil:
			fmt.Fprintln(os.Stderr, "fakenodes: pod:", err)
			time.AfterFunc(retryAfter, func() { s.queue <- w })
		case w.next == start:
			s.finishLater(w.pod, w.started)
		}
	}
}

func (s *simulator) apply(ctx context.Context, w step) error {
	if w.next == remove {
		return s.remove(ctx, w.pod)
	}
	if _, leaving := s.ended.Load(w.pod.UID); leaving {
		return nil
	}
	if w.next == start {
		return s.report(ctx, w.pod, w.started, v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: w.started}})
	}
	return s.report(ctx, w.pod, w.started, over(w.started, exitCode(w.pod), w.pod.Annotations[outputKey]))
}

// exitCode is the one of the pod's attempt, the last one where there are fewer.
func exitCode(p *v1.Pod) int32 {
	codes := strings.Fields(p.Annotations[exitKey])
	if len(codes) == 0 {
		return 0
	}
	attempt, err := strconv.Atoi(p.Labels[attemptKey])
	if err != nil || attempt < 1 {
		attempt = 1
	}
	code, _ := strconv.ParseInt(codes[min(attempt, len(codes))-1], 10, 32)
	return int32(code)
}

// remove ends what runs, and takes the pod away: its grace is over.
func (s *simulator) remove(ctx context.Context, p *v1.Pod) error {
	if p.Status.Phase == v1.PodRunning && p.Status.StartTime != nil {
		if err := s.report(ctx, p, *p.Status.StartTime, over(*p.Status.StartTime, terminated, "")); err != nil {
			return err
		}
	}
	now := int64(0)
	return s.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name,
		metav1.DeleteOptions{GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &p.UID}})
}

func over(started metav1.Time, code int32, message string) v1.ContainerState {
	end := &v1.ContainerStateTerminated{StartedAt: started, FinishedAt: metav1.Now(), Reason: "Completed", ExitCode: code,
		Message: message[:min(len(message), messageMax)]}
	if code != 0 {
		end.Reason = "Error"
	}
	return v1.ContainerState{Terminated: end}
}

// report writes the status of a pod all of whose containers are in one state.
func (s *simulator) report(ctx context.Context, p *v1.Pod, started metav1.Time, state v1.ContainerState) error {
	ready := v1.PodCondition{Type: v1.PodReady, Status: v1.ConditionFalse, Reason: "PodCompleted", LastTransitionTime: metav1.Now()}
	status := v1.PodStatus{StartTime: &started, PodIP: "10.250.0.1"}
	switch {
	case state.Running != nil:
		status.Phase, ready.Status, ready.Reason = v1.PodRunning, v1.ConditionTrue, ""
	case state.Terminated.ExitCode == 0:
		status.Phase = v1.PodSucceeded
	default:
		status.Phase = v1.PodFailed
	}
	status.Conditions = []v1.PodCondition{ready}
	for _, c := range p.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses,
			v1.ContainerStatus{Name: c.Name, Image: c.Image, State: state, Ready: state.Running != nil})
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.UID}, "status": status})
	if err != nil {
		return err
	}
	_, err = s.client.CoreV1().Pods(p.Namespace).Patch(ctx, p.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}
