"""The Workflow API: the resource's shape, its validation, its Jobs and its status.

    spec -> definition.parse -> core.Definition -> jobs.job_manifest       state -> status.project

Promises: pure; pydantic and the standard library only. `v1alpha1` is the source of the CRD.
Must never talk to a cluster, read a clock, or decide what happens next.
"""
