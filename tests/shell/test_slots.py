"""The operator's bound on Jobs at once."""

from kipu.shell.slots import Slots


def test_what_is_held_is_not_free() -> None:
    slots = Slots(3)
    slots.hold("a", 2)
    assert slots.free == 1
    slots.hold("a", 1)
    assert slots.free == 2
    slots.forget("a")
    assert slots.free == 3


def test_a_limit_that_is_overheld_shows_no_free_slot() -> None:
    slots = Slots(1)
    slots.hold("a", 5)
    assert slots.free == 0


def test_who_waits_longest_is_woken_first_and_only_one_at_a_time() -> None:
    woken: list[str] = []
    slots = Slots(1)
    slots.hold("a", 1)
    slots.wait("b", lambda: woken.append("b"))
    slots.wait("c", lambda: woken.append("c"))
    slots.wait("b", lambda: woken.append("b again"))
    slots.hold("a", 0)
    assert woken == ["b"]
    slots.hold("b", 1)
    assert woken == ["b"]
    slots.hold("b", 0)
    assert woken == ["b", "c"]


def test_a_woken_workflow_that_needs_nothing_passes_the_slot_on() -> None:
    woken: list[str] = []
    slots = Slots(1)
    slots.hold("a", 1)
    slots.wait("b", lambda: woken.append("b"))
    slots.wait("c", lambda: woken.append("c"))
    slots.forget("a")
    slots.hold("b", 0)
    assert woken == ["b", "c"]


def test_a_workflow_that_stopped_is_not_woken() -> None:
    woken: list[str] = []
    slots = Slots(1)
    slots.hold("a", 1)
    slots.wait("b", lambda: woken.append("b"))
    slots.forget("b")
    slots.forget("a")
    assert woken == []


def test_the_change_is_told() -> None:
    told: list[int] = []
    slots = Slots(5, told.append)
    slots.hold("a", 2)
    slots.hold("b", 1)
    assert told == [2, 3]
