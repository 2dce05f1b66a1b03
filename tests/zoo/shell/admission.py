"""Mutants of kipu/shell/admission.py: what is recorded of a template."""

from __future__ import annotations

import msgspec

from kipu.core.commands import Accept, Reject
from kipu.shell.admission import admission
from kipu.shell.kube import Kube
from kipu.shell.kube_views import WorkflowView
from tests.zoo.mutants import mutant

_admission = admission


@mutant("admission", breaks="T1", caught_by="tests/shell/test_templates.py")
async def any_template_of_the_cluster_will_do(kube: Kube, view: WorkflowView) -> Accept | Reject:
    """The template is looked for where nobody has put it."""
    elsewhere = msgspec.structs.replace(view.metadata, namespace="other")
    return await _admission(kube, msgspec.structs.replace(view, metadata=elsewhere))
