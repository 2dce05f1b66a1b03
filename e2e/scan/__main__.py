"""`make scan`: the chart as Helm renders it, before kubeconform and kube-score; its alerts, evaluated by Prometheus.

    python -m e2e.scan FOLDER      of e2e/scan/build.sh, whose programs are on PATH beside helm

Promises: exit 1 for a manifest that Kubernetes' schema does not know, for a finding that exceptions.yaml does not name,
for an exception that nothing needs, for an alert that does not fire as its cases say, and for a scanner that does not
see a planted fault. Needs no cluster and no net.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from . import alerting
from .findings import excepted, found, left
from .programs import run
from .schemas import Schema, from_crd, from_openapi

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "kipu"
OUT = ROOT / "build" / "scan"
# Each is a whole installation; kube-score judges the one that has everything.
EVERYTHING = (
    "networkPolicy.enabled=true",
    "serviceMonitor.enabled=true",
    "alerts.enabled=true",
    "dashboard.enabled=true",
    "priorityClassName=high",
    "podLabels.a=b",
)
VARIANTS = {
    "default": (),
    "everything": EVERYTHING,
    "namespaced": ("watchNamespaces={here,there}", "replicas=1", "crds.keep=false"),
    "narrow": ("networkPolicy.enabled=true", "networkPolicy.apiServer.cidrs={10.0.0.1/32}", "metrics.service=false"),
}
LOCATION = "{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json"


def main(tools: Path) -> int:
    """0 when nothing is to be mended."""
    OUT.mkdir(parents=True, exist_ok=True)
    rendered = {name: render(name, settings) for name, settings in VARIANTS.items()}
    write_schemas(tools, [each for file in rendered.values() for each in manifests(file)])
    faults = [fault for file in rendered.values() for fault in conform(file)]
    faults += left(score(rendered["everything"]), excepted())
    faults += alerting.faults(manifests(rendered["everything"]), OUT)
    if not conform(planted(rendered["default"])):
        faults.append("kubeconform: has not seen a field that Kubernetes does not know")
    sys.stdout.writelines(f"{fault}\n" for fault in faults)
    count = sum(len(manifests(file)) for file in rendered.values())
    sys.stdout.write(
        f"{count} manifests of {len(rendered)} installations, and their alerts: {len(faults) or 'no'} faults\n"
    )
    return int(bool(faults))


def render(name: str, settings: tuple[str, ...]) -> Path:
    """The file with all manifests of one installation."""
    chosen = [word for setting in settings for word in ("--set", setting)]
    file = OUT / f"{name}.yaml"
    file.write_text(run("helm", "template", "kipu", str(CHART), "--namespace", "kipu-system", *chosen))
    return file


def manifests(file: Path) -> list[dict[str, Any]]:
    """What is in it."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the CRDs are long
    return [each for each in yaml.load_all(file.read_text(), Loader=loader) if each]


# -- Kubernetes' own schema ---------------------------------------------------------------------------------


def write_schemas(tools: Path, objects: list[dict[str, Any]]) -> None:
    """One file for each kind that there is, where conform looks for it."""
    swagger = json.loads((tools / "sources" / "swagger.json").read_text())
    crds = [yaml.safe_load(file.read_text()) for file in sorted((tools / "sources").glob("*.yaml"))]
    for api_version, kind in sorted({(each["apiVersion"], each["kind"]) for each in objects}):
        group, _, version = api_version.rpartition("/")
        schema = from_openapi(swagger, group, version, kind) or next(of_crds(crds, group, version, kind), None)
        if schema is None:
            raise SystemExit(f"no schema knows {api_version} {kind}: add its CRD to e2e/scan/build.sh")
        # of the core group kubeconform says "v1"
        (OUT / f"{group or version}_{version}_{kind.lower()}.json").write_text(json.dumps(schema))


def of_crds(crds: list[Schema], group: str, version: str, kind: str) -> Iterator[Schema]:
    """What these know of it."""
    for crd in crds:
        if (schema := from_crd(crd, group, version, kind)) is not None:
            yield schema


def conform(file: Path) -> list[str]:
    """What kubeconform says against it."""
    command = ("kubeconform", "-strict", "-output", "json", "-schema-location", str(OUT / LOCATION), str(file))
    report = json.loads(run(*command, codes=(0, 1)))
    return [f"{file.name}: {each['kind']} {each['name']}: {each['msg']}" for each in report["resources"]]


def planted(file: Path) -> Path:
    """The same with a misspelt field."""
    wrong = OUT / "planted.yaml"
    text = file.read_text()
    wrong.write_text(text.replace("  terminationGracePeriodSeconds:", "  terminationGraceSeconds:"))
    if wrong.read_text() == text:
        raise SystemExit("the fault that is planted is none: terminationGracePeriodSeconds is in no manifest")
    return wrong


# -- habits ------------------------------------------------------------------------------------------------


def score(file: Path) -> list[Any]:
    """What kube-score says against it."""
    more = ("--enable-optional-test", "container-seccomp-profile", "--enable-optional-test", "container-ports-check")
    return found(json.loads(run("kube-score", "score", "--output-format", "json", *more, str(file), codes=(0, 1))))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m e2e.scan FOLDER   (make scan)")
    sys.exit(main(Path(sys.argv[1])))
