"""Kipu: a Kubernetes operator that runs DAGs of Jobs and never forgets what happened.

The one idea: a workflow *is* its event log. Read `core/__init__.py` next.
"""

__version__ = "0.1.0"
