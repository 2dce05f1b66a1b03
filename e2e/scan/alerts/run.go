package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

// run says what does not fire as expected.
func (t test) run(path string, interval model.Duration) (faults []string, err error) {
	loader, err := promqltest.NewLazyLoader(t.load(), promqltest.LazyLoaderOpts{EnableAtModifier: true, EnableNegativeOffset: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, loader.Close()) }()
	groups, err := t.groups(loader, path)
	if err != nil {
		return nil, err
	}
	open := len(t.Expected)
	for after := time.Duration(0); open > 0; after += time.Duration(interval) {
		if err := evaluate(loader, groups, time.Unix(0, 0).UTC().Add(after)); err != nil {
			return nil, err
		}
		for _, each := range t.Expected {
			if each.After < model.Duration(after) && each.After > model.Duration(after)-interval {
				return nil, fmt.Errorf("nothing is evaluated after %v", each.After)
			}
			if each.After == model.Duration(after) {
				open--
				faults = append(faults, t.compare(each, groups)...)
			}
		}
	}
	return faults, nil
}

// load is the series in the language of Prometheus' own tests.
func (t test) load() string {
	text := fmt.Sprintf("load %v\n", t.Interval)
	for _, each := range t.Series {
		text += fmt.Sprintf("  %s %s\n", each.Name, each.Values)
	}
	return text
}

func (t test) groups(loader *promqltest.LazyLoader, path string) (map[string]*rules.Group, error) {
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc:  rules.EngineQueryFunc(loader.QueryEngine(), loader.Storage()),
		Appendable: loader.Storage(),
		Context:    context.Background(),
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {},
		Logger:     promslog.NewNopLogger(),
	})
	groups, errs := manager.LoadGroups(time.Duration(t.Interval), labels.EmptyLabels(), "", nil, false, path)
	return groups, errors.Join(errs...)
}

func evaluate(loader *promqltest.LazyLoader, groups map[string]*rules.Group, now time.Time) (err error) {
	loader.WithSamplesTill(now, func(failed error) { err = failed })
	for _, group := range groups {
		group.Eval(loader.Context(), now)
		for _, rule := range group.Rules() {
			if failed := rule.LastError(); failed != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w", rule.Name(), failed))
			}
		}
	}
	return err
}

func (t test) compare(wanted expectation, groups map[string]*rules.Group) []string {
	var expected, got []string
	known := false
	for _, each := range wanted.Alerts {
		own := labels.NewBuilder(labels.FromMap(each.Labels)).Set(labels.AlertName, wanted.Rule).Labels()
		expected = append(expected, fmt.Sprint(own, " ", labels.FromMap(each.Annotations)))
	}
	for _, group := range groups {
		for _, rule := range group.AlertingRules() {
			if rule.Name() != wanted.Rule {
				continue
			}
			known = true
			for _, each := range rule.ActiveAlerts() {
				if each.State == rules.StateFiring {
					got = append(got, fmt.Sprint(each.Labels, " ", each.Annotations))
				}
			}
		}
	}
	slices.Sort(expected)
	slices.Sort(got)
	if known && slices.Equal(expected, got) {
		return nil
	}
	return []string{fmt.Sprintf("%s: %s: after %v fires\n    %s\n  and not\n    %s", wanted.Rule, t.Name, wanted.After, lines(got), lines(expected))}
}

func lines(alerts []string) string {
	if len(alerts) == 0 {
		return "nothing"
	}
	return strings.Join(alerts, "\n    ")
}
