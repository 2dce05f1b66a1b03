// alerts RULES CASES : evaluates alerting rules by Prometheus' own code over the series of each case, and compares which
// alerts fire, with all their labels and annotations. CASES is in the form of `promtool test rules`, less what is not
// needed here; promtool itself links every service discovery and is 1.5 GB of modules.
//
// It promises a line for each alert that is not as expected, and exit code 1 then; 2 for a file that cannot be read.
// It must never listen, nor ask anybody anything: samples are in a folder that goes with the process.
package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

type file struct {
	Interval model.Duration `yaml:"evaluation_interval"`
	Tests    []test         `yaml:"tests"`
}

// test is one case: series with a sample at each interval, and what is expected after some times.
type test struct {
	Name     string         `yaml:"name"`
	Interval model.Duration `yaml:"interval"`
	Series   []series       `yaml:"input_series"`
	Expected []expectation  `yaml:"alert_rule_test"`
}

type series struct {
	Name   string `yaml:"series"`
	Values string `yaml:"values"`
}

// expectation is all that fires of one rule at one time.
type expectation struct {
	After  model.Duration `yaml:"eval_time"`
	Rule   string         `yaml:"alertname"`
	Alerts []alert        `yaml:"exp_alerts"`
}

type alert struct {
	Labels      map[string]string `yaml:"exp_labels"`
	Annotations map[string]string `yaml:"exp_annotations"`
}

func main() {
	if len(os.Args) != 3 {
		stop("usage: alerts RULES CASES   (make scan)")
	}
	cases := read(os.Args[2])
	code := 0
	for _, each := range cases.Tests {
		faults, err := each.run(os.Args[1], cases.Interval)
		if err != nil {
			stop(fmt.Sprintf("%s: %v", each.Name, err))
		}
		for _, fault := range faults {
			fmt.Println(fault)
			code = 1
		}
	}
	os.Exit(code)
}

func read(path string) (cases file) {
	text, err := os.ReadFile(path)
	if err != nil {
		stop(err.Error())
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&cases); err != nil {
		stop(fmt.Sprintf("%s: %v", path, err))
	}
	return cases
}

func stop(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(2)
}
