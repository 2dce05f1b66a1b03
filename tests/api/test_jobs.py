"""The Job of an attempt: whole, as it is committed, and its settings one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kipu.api.definition import parse
from kipu.api.jobs import AttemptRef, job_manifest, placeholder_manifest
from kipu.core.definition import Definition
from tests.api.specs import spec, step


def main_of(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "main", **fields}]}}


def job_of(definition: Definition, ref: AttemptRef) -> dict[str, object]:
    return job_manifest(definition, definition.steps[0], ref)


GOLDEN = Path(__file__).parent / "golden"
UID = "4a1f0a52-0000-4000-8000-000000000001"


def attempt(**fields: Any) -> AttemptRef:
    given: dict[str, Any] = {
        "namespace": "etl",
        "workflow_name": "nightly",
        "workflow_uid": UID,
        "run": 1,
        "step": "load",
        "attempt": 2,
        "job_name": "nightly-load-0123456789abcdef",
        "intent": f"17:{'ab' * 32}",
        "attempt_timeout_ms": 90_500,
    }
    return AttemptRef(**(given | fields))


FULL = spec(
    {
        "name": "load",
        "script": "echo $KIPU_STEP $GREETING $(date) $$\n",
        "env": [{"name": "GREETING", "value": "hello $(KIPU_WORKFLOW)"}],
        "resources": {"requests": {"cpu": 0.5}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "template": {
            "metadata": {"labels": {"team": "ingest"}, "annotations": {"note": "x"}},
            "spec": {"volumes": [{"name": "data", "emptyDir": {}}], "terminationGracePeriodSeconds": 5},
        },
    },
    defaults={
        "image": "busybox:1.36",
        "template": {
            "spec": {
                "serviceAccountName": "etl",
                "containers": [{"name": "main", "securityContext": {"runAsNonRoot": True}}],
            }
        },
    },
)


def test_the_job_is_the_committed_one() -> None:
    manifest = job_of(parse(FULL), attempt())
    assert manifest == yaml.safe_load((GOLDEN / "job.yaml").read_text(encoding="utf-8"))


def test_the_placeholder_is_the_committed_one() -> None:
    manifest = placeholder_manifest(attempt())
    assert manifest == yaml.safe_load((GOLDEN / "placeholder.yaml").read_text(encoding="utf-8"))


def test_the_spec_is_not_changed_by_rendering() -> None:
    definition = parse(FULL)
    assert job_of(definition, attempt()) == job_of(definition, attempt())
    assert definition == parse(FULL)


def test_a_step_without_a_timeout_has_no_deadline() -> None:
    manifest: Any = job_of(parse(FULL), attempt(attempt_timeout_ms=None))
    assert "activeDeadlineSeconds" not in manifest["spec"]


@pytest.mark.parametrize(("milliseconds", "seconds"), [(1, 61), (1_000, 61), (1_001, 62), (60_000, 120)])
def test_the_deadline_is_a_minute_after_ours(milliseconds: int, seconds: int) -> None:
    manifest: Any = job_of(parse(FULL), attempt(attempt_timeout_ms=milliseconds))
    assert manifest["spec"]["activeDeadlineSeconds"] == seconds


IDENTITY = {
    "KIPU_NAMESPACE": "etl",
    "KIPU_WORKFLOW": "nightly",
    "KIPU_UID": UID,
    "KIPU_RUN": "1",
    "KIPU_STEP": "load",
    "KIPU_ATTEMPT": "2",
    "KIPU_ATTEMPT_ID": "1659bf0eec6a485bce65139c028a5b14",
}


def variables(step: dict[str, Any], **fields: Any) -> dict[str, str]:
    """Those of Kipu that an attempt of this step finds."""
    manifest: Any = job_of(parse(spec({"name": "load", "image": "etl:1", **step})), attempt(**fields))
    (main,) = manifest["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in main["env"] if each["name"].startswith("KIPU_")}


def test_who_does_not_ask_is_told_no_more_than_the_key() -> None:
    assert [*variables({"command": ["run", "--all"]})] == ["KIPU_IDEMPOTENCY_KEY"]


@pytest.mark.parametrize("name", IDENTITY)
@pytest.mark.parametrize(
    "written", ["echo ${}", "python -c 'import os; print(os.environ[\"{}\"])'", 'test -n "${{}:-}"']
)
def test_who_names_a_variable_is_told_it(name: str, written: str) -> None:
    told = variables({"script": written.replace("{}", name)})
    assert told.pop("KIPU_IDEMPOTENCY_KEY")
    assert told == {name: IDENTITY[name]}


def test_another_name_that_begins_alike_is_not_the_variable() -> None:
    assert [*variables({"script": "echo $KIPU_RUNS $KIPU_STEP_DIR $KIPU_UID2"})] == ["KIPU_IDEMPOTENCY_KEY"]


@pytest.mark.parametrize(
    "container",
    [
        {"args": ["--run", "$(KIPU_RUN)"]},
        {"env": [{"name": "RUN", "value": "<$(KIPU_RUN)>"}]},
        {"volumeMounts": [{"name": "d", "mountPath": "/d", "subPathExpr": "runs/$(KIPU_RUN)"}]},
        {"livenessProbe": {"exec": {"command": ["sh", "-c", "test -e $KIPU_RUN"]}}},
        {"lifecycle": {"preStop": {"exec": {"command": ["say", "$(KIPU_RUN)"]}}}},
    ],
    ids=str,
)
def test_it_may_be_named_anywhere_in_the_container(container: dict[str, Any]) -> None:
    assert [*variables({"template": main_of(command=["run"], **container)})] == ["KIPU_RUN", "KIPU_IDEMPOTENCY_KEY"]


@pytest.mark.parametrize("script", ["env | grep KIPU_", "env | grep ^KIPU", 'eval "echo \\$KIPU_$WHAT"'])
def test_a_bare_prefix_asks_for_all(script: str) -> None:
    told = variables({"script": script})
    assert told.pop("KIPU_IDEMPOTENCY_KEY")
    assert told == IDENTITY


def test_only_the_key_stays_the_same_over_attempts_and_runs() -> None:
    def environment(**fields: Any) -> dict[str, str]:
        return variables({"script": "env | grep KIPU_"}, **fields)

    first, second, rerun = environment(attempt=1), environment(attempt=2), environment(run=2, attempt=1)
    assert first["KIPU_IDEMPOTENCY_KEY"] == second["KIPU_IDEMPOTENCY_KEY"] == rerun["KIPU_IDEMPOTENCY_KEY"]
    assert len({each["KIPU_ATTEMPT_ID"] for each in (first, second, rerun)}) == 3
    assert first["KIPU_IDEMPOTENCY_KEY"] != environment(workflow_uid="another")["KIPU_IDEMPOTENCY_KEY"]


def test_a_foreign_container_stays_as_it_is() -> None:
    sidecar = {"name": "proxy", "image": "p", "env": [{"name": "A", "value": "1"}]}
    raw = spec(step("load", template={"spec": {"containers": [sidecar]}}))
    manifest: Any = job_of(parse(raw), attempt())
    containers = {each["name"]: each for each in manifest["spec"]["template"]["spec"]["containers"]}
    assert containers["proxy"] == sidecar
    assert containers["main"]["env"][0]["name"] == "KIPU_IDEMPOTENCY_KEY"


def test_kipu_adds_no_security_context_and_no_right() -> None:
    manifest: Any = job_of(parse(spec(step("load"))), attempt())
    pod = manifest["spec"]["template"]["spec"]
    assert set(pod) == {"containers", "restartPolicy"}
    assert set(pod["containers"][0]) == {"name", "image", "command", "env", "terminationMessagePolicy"}


def test_a_step_of_several_pods_is_a_job_of_several() -> None:
    shape = {"completions": 5, "parallelism": 2, "completionMode": "Indexed"}
    given = parse(spec({"name": "load", "script": "true", "image": "busybox:1.36", "job": shape}))
    manifest: Any = job_of(given, attempt())
    assert {key: manifest["spec"][key] for key in shape} == shape
    assert (manifest["spec"]["backoffLimit"], manifest["spec"]["podReplacementPolicy"]) == (0, "Failed")


def test_a_queue_of_the_template_is_the_jobs_and_never_a_placeholders() -> None:
    queue = {"kueue.x-k8s.io/queue-name": "users", "kueue.x-k8s.io/priority-class": "low"}
    template = {"metadata": {"labels": {**queue, "team": "ingest"}}}
    definition = parse(spec({"name": "load", "image": "i", "script": "true", "template": template}))
    (labels, pods), placeholder = _labels(job_of(definition, attempt())), _labels(placeholder_manifest(attempt()))[0]
    assert {key: labels.get(key) for key in (*queue, "team")} == {**queue, "team": None}
    assert {**queue, "team": "ingest"}.items() <= pods.items()
    assert labels == {**placeholder, **queue}


def _labels(job: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Of a Job, and of its template."""
    return job["metadata"]["labels"], job["spec"]["template"].get("metadata", {}).get("labels", {})


def test_the_job_of_an_external_step_is_born_suspended_and_says_so() -> None:
    given = parse(spec({"name": "load", "script": "true", "image": "busybox:1.36", "effects": "External"}))
    manifest: Any = job_of(given, attempt())
    assert manifest["spec"]["suspend"] is True
    assert manifest["metadata"]["annotations"]["kipu.dev/effects"] == "External"


# -- the language --------------------------------------------------------------------------------------

SPEAKING = spec(
    {
        "name": "load",
        "image": "i",
        "command": ["run", "${{ params.mode }}"],
        "args": ["--rows", "${{ params.rows }}"],
        "env": [{"name": "FIXED", "value": "x"}, {"name": "ROWS", "value": "${{ params.rows }} rows"}],
        "outputs": [{"name": "rows"}],
        "template": main_of(terminationMessagePath="/elsewhere", terminationMessagePolicy="File"),
    },
    params=[{"name": "rows", "value": 42}, {"name": "mode", "value": "fast"}],
)


def container(manifest: Any) -> Any:
    (found,) = manifest["spec"]["template"]["spec"]["containers"]
    return found


def test_what_was_recorded_stands_in_the_place_of_expressions() -> None:
    values = {"command[1]": "fast", "args[1]": "42", "env[1].value": "42 rows"}
    main = container(job_of(parse(SPEAKING), attempt(values=values)))
    assert (main["command"], main["args"]) == (["run", "fast"], ["--rows", "42"])
    assert main["env"][-2:] == [{"name": "FIXED", "value": "x"}, {"name": "ROWS", "value": "42 rows"}]


def test_a_step_with_outputs_writes_to_its_termination_message_whatever_the_template_says() -> None:
    main = container(job_of(parse(SPEAKING), attempt()))
    assert {"name": "KIPU_OUTPUT", "value": "/dev/termination-log"} in main["env"]
    assert (main["terminationMessagePath"], main["terminationMessagePolicy"]) == ("/dev/termination-log", "File")
    silent = container(job_of(parse(spec(step("load"))), attempt()))
    assert "terminationMessagePath" not in silent
    assert "KIPU_OUTPUT" not in {variable["name"] for variable in silent["env"]}


def test_of_a_step_that_fails_the_end_of_its_log_is_taken_unless_its_template_says_otherwise() -> None:
    for outputs in ({}, {"outputs": [{"name": "rows"}]}):
        for given, expected in (({}, "FallbackToLogsOnError"), ({"terminationMessagePolicy": "File"}, "File")):
            raw = spec({"name": "load", "image": "i", **outputs, "template": main_of(**given)})
            assert container(job_of(parse(raw), attempt()))["terminationMessagePolicy"] == expected


def test_a_step_that_ends_at_a_known_time_is_told_so() -> None:
    main = container(job_of(parse(spec(step("load"))), attempt(deadline=1_795_489_200_999)))
    assert {"name": "KIPU_DEADLINE", "value": "2026-11-24T03:00:00Z"} in main["env"]
