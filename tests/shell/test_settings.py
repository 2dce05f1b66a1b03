"""What can be set from outside: bounds, and what the pod says of itself."""

from __future__ import annotations

import pytest

from kipu.core.errors import UserError
from kipu.shell.settings import from_environment


def test_the_pod_says_who_it_is_unless_it_is_set() -> None:
    pod = {"POD_NAME": "kipu-1", "POD_UID": "0a1b", "POD_NAMESPACE": "elsewhere"}
    settings = from_environment(pod)
    assert (settings.identity, settings.lease_holder, settings.lease_namespace) == ("kipu-1", "0a1b", "elsewhere")
    assert from_environment({}).lease_holder != from_environment({}).lease_holder
    settings = from_environment(pod | {"KIPU_LEASE_HOLDER": "me", "KIPU_LEASE_NAMESPACE": "here"})
    assert (settings.identity, settings.lease_holder, settings.lease_namespace) == ("kipu-1", "me", "here")


@pytest.mark.parametrize(
    ("duration", "deadline", "period", "wrong"),
    [
        ("15", "10", "2", None),
        ("3", "2", "1", None),
        ("3", "2.1", "1", "KIPU_RENEW_DEADLINE_SECONDS"),
        ("3", "2", "1.1", "KIPU_RETRY_PERIOD_SECONDS"),
        ("2", "1", "0.5", "KIPU_LEASE_DURATION_SECONDS"),
        ("300", "299", "149.5", None),
        ("301", "10", "2", "KIPU_LEASE_DURATION_SECONDS"),
        ("15", "0.9", "0.1", "KIPU_RENEW_DEADLINE_SECONDS"),
        ("15", "10", "0.09", "KIPU_RETRY_PERIOD_SECONDS"),
    ],
)
def test_a_leader_has_a_second_between_its_end_and_the_next_one_and_two_tries_before_it(
    duration: str, deadline: str, period: str, wrong: str | None
) -> None:
    given = {
        "KIPU_LEASE_DURATION_SECONDS": duration,
        "KIPU_RENEW_DEADLINE_SECONDS": deadline,
        "KIPU_RETRY_PERIOD_SECONDS": period,
    }
    if wrong is None:
        assert from_environment(given).lease_duration_seconds == int(duration)
        return
    with pytest.raises(UserError) as caught:
        from_environment(given)
    assert wrong in [problem.path for problem in caught.value.problems]
