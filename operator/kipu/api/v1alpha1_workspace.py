"""The volume on which the steps of a Workflow hand files on, as a person writes it.

Promises: those of `v1alpha1`, of which this is a part. Must never know what a step runs.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from .v1alpha1_base import Model, PassedThrough
from .v1alpha1_pod import TemplateMetadata

CLAIM_LENGTH_MAX = 253
CLAIM_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"  # a DNS subdomain


class ClaimTemplate(Model):
    """A core/v1 PersistentVolumeClaimTemplate."""

    metadata: TemplateMetadata | None = None
    """Labels and annotations of the claim. It is named by Kipu."""
    spec: PassedThrough
    """A core/v1 PersistentVolumeClaimSpec: accessModes, resources, storageClassName and so on."""


class Workspace(Model):
    """The volume on which steps hand files on: either claimName or claimTemplate. Every pod finds a folder of its own
    in KIPU_STAGING. Of a step that has succeeded the folder of one pod stands, which the log names; whoever reads it
    finds it under KIPU_INPUTS/STEP (of a fan-out, KIPU_INPUTS/STEP/INDEX) and cannot write there."""

    claim_name: Annotated[str, StringConstraints(pattern=CLAIM_PATTERN, max_length=CLAIM_LENGTH_MAX)] | None = None
    """A PersistentVolumeClaim of the same namespace. Kipu writes below kipu/UID in it, and deletes nothing."""
    claim_template: ClaimTemplate | None = None
    """The PersistentVolumeClaim that is made for this Workflow, and deleted with it."""
