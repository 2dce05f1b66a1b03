"""Whether a Workflow is accepted: its spec judged, together with the WorkflowTemplate that it names.

Promises: the template is read once, consistently, before the first commit; what it says then is recorded whole. One
that is not there rejects the Workflow: to wait for it would be to guess what was meant. Must never write.
"""

from __future__ import annotations

from kipu.api import definition, reuse, sub_workflows
from kipu.core.commands import Accept, Reject
from kipu.core.errors import UserError

from .kube import Kube
from .kube_views import WorkflowView


async def admission(kube: Kube, view: WorkflowView) -> Accept | Reject:
    """The command for a Workflow that its log knows nothing of yet. Raises Unanswered."""
    spec_hash, name = definition.spec_hash(view.spec), reuse.template_name(view.spec)
    try:
        if name is None:
            found = definition.parse(view.spec)
        else:
            template = await kube.get_workflow_template(view.metadata.namespace, name)
            found = reuse.resolve(view.spec, None if template is None else template.spec)
        if problems := sub_workflows.too_deep(found, sub_workflows.depth_of(view.metadata.annotations)):
            return Reject(spec_hash=spec_hash, problems=problems)
        return Accept(spec_hash=spec_hash, definition=found)
    except UserError as error:
        return Reject(spec_hash=spec_hash, problems=error.problems)
