"""The words that stand in records: why, how, and in which mode. For ever, as the events that hold them.

A word may be added, never changed or taken away.
"""

from __future__ import annotations

from enum import StrEnum


class TimerKind(StrEnum):
    """What became due."""

    BACKOFF = "Backoff"
    START_TIMEOUT = "StartTimeout"
    ATTEMPT_TIMEOUT = "AttemptTimeout"
    STEP_TIMEOUT = "StepTimeout"
    WORKFLOW_TIMEOUT = "WorkflowTimeout"
    WAIT = "Wait"  # a step that waits is over
    FINALLY_TIMEOUT = "FinallyTimeout"


class ShutdownMode(StrEnum):
    """In the order of escalation; `Terminate` also leaves out `finally`."""

    DRAIN = "Drain"
    CANCEL = "Cancel"
    TERMINATE = "Terminate"


class Reason(StrEnum):
    """Why an attempt failed or was given up. Reasons, not phases."""

    EXIT_CODE = "ExitCode"  # the program ended with a code other than 0
    OUT_OF_MEMORY = "OOMKilled"
    DISRUPTED = "Disrupted"  # eviction, preemption, node loss: DisruptionTarget
    TIMED_OUT = "TimedOut"
    START_TIMED_OUT = "StartTimedOut"
    LOST = "Lost"  # the Job or its pod vanished without an outcome
    INVALID_JOB = "InvalidJob"  # the API server refused the Job, or the child, for good
    JOB_NAME_TAKEN = "JobNameTaken"  # somebody else's Job, or Workflow, stands under our name
    POD_FAILED = "PodFailed"  # the pod failed and no exit code of `main` says why
    CANCELLED = "Cancelled"
    OUTPUT_TOO_LARGE = "OutputTooLarge"  # the kubelet may have cut what the program wrote: nothing of it is taken
    OUTPUT_INVALID = "OutputInvalid"  # not what the step declares
    EXPRESSION_ERROR = "ExpressionError"  # an expression of the step has no value
    UNKNOWN = "Unknown"  # it is over, and nobody knows whether it has done its work
    REFUSED = "Refused"  # somebody was asked, and said no
    CHILD_FAILED = "ChildFailed"  # the Workflow of a sub-workflow step has ended, and not as Succeeded
    ITEMS_FAILED = "ItemsFailed"  # more items of a fan-out have failed than forEach.maxFailures


class Resolution(StrEnum):
    """What somebody says of an attempt whose outcome nobody knew."""

    RETRY = "Retry"  # it has done nothing, or may do it again
    FAIL = "Fail"
    SUCCEED = "Succeed"  # it has done its work


class Decision(StrEnum):
    """What somebody has answered to an approval step."""

    APPROVE = "Approve"
    REJECT = "Reject"


class SkipReason(StrEnum):
    """Why a step never ran."""

    DEPENDENCY = "DependencyNotMet"  # its runWhen can no longer hold because of the culprit
    WORKFLOW_FAILING = "WorkflowFailing"  # onFailure lets nothing new start after the culprit failed
    CONDITION_FALSE = "ConditionFalse"  # its own `when`: counts as succeeded for its dependents


class WorkflowEnd(StrEnum):
    """How a run ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
