"""The operator's bound on Jobs at once."""

import random
from functools import partial

from kipu.shell.slots import Slots


def hold(slots: Slots, uid: str, places: int, namespace: str = "") -> None:
    """As a turn ends."""
    slots.hold(uid, places, namespace)
    slots.serve()


def test_what_is_held_is_not_free() -> None:
    slots = Slots(3)
    hold(slots, "a", 2)
    assert slots.free == 1
    hold(slots, "a", 1)
    assert slots.free == 2
    slots.forget("a")
    assert slots.free == 3


def test_a_place_is_asked_for_from_the_first_who_waits_to_the_last_who_is_woken() -> None:
    slots = Slots(1)
    hold(slots, "a", 1)
    asked_for = [slots.is_asked_for]
    slots.wait("b", lambda: None)
    asked_for.append(slots.is_asked_for)
    hold(slots, "a", 0)
    assert [*asked_for, slots.is_asked_for] == [False, True, False]


def test_a_limit_that_is_overheld_shows_no_free_slot() -> None:
    slots = Slots(1)
    hold(slots, "a", 5)
    assert slots.free == 0


def test_who_waits_longest_is_woken_first_and_only_one_at_a_time() -> None:
    woken: list[str] = []
    slots = Slots(1)
    hold(slots, "a", 1)
    slots.wait("b", lambda: woken.append("b"))
    slots.wait("c", lambda: woken.append("c"))
    slots.wait("b", lambda: woken.append("b again"))
    hold(slots, "a", 0)
    assert woken == ["b"]
    hold(slots, "b", 1)
    assert woken == ["b"]
    hold(slots, "b", 0)
    assert woken == ["b", "c"]


def test_a_woken_workflow_that_needs_nothing_passes_the_slot_on() -> None:
    woken: list[str] = []
    slots = Slots(1)
    hold(slots, "a", 1)
    slots.wait("b", lambda: woken.append("b"))
    slots.wait("c", lambda: woken.append("c"))
    slots.forget("a")
    hold(slots, "b", 0)
    assert woken == ["b", "c"]


def test_a_workflow_that_stopped_is_not_woken() -> None:
    woken: list[str] = []
    slots = Slots(1)
    hold(slots, "a", 1)
    slots.wait("b", lambda: woken.append("b"))
    slots.forget("b")
    slots.forget("a")
    assert woken == []


def test_the_change_is_told() -> None:
    told: list[int] = []
    slots = Slots(5, told.append)
    hold(slots, "a", 2)
    hold(slots, "b", 1)
    assert told == [2, 3]


def test_the_highest_priority_is_woken_first_and_then_the_oldest() -> None:
    woken: list[str] = []
    slots = Slots(1)
    hold(slots, "a", 1)
    row = (("low", (1, 0)), ("young", (0, 9)), ("high", (-5, 99)), ("old", (0, 3)), ("second", (0, 9)))
    for uid, rank in row:
        slots.wait(uid, partial(woken.append, uid), rank=rank)
    hold(slots, "a", 0)
    for _ in range(4):
        hold(slots, woken[-1], 0)
    assert woken == ["high", "old", "young", "second", "low"]


def test_a_place_is_kept_for_whoever_was_woken_for_it() -> None:
    slots = Slots(1)
    hold(slots, "low", 1)
    slots.wait("high", lambda: None, rank=(-1, 0))
    hold(slots, "low", 0)
    assert slots.free_for("low", "") == 0
    assert slots.free_for("high", "") == 1
    hold(slots, "high", 1)
    assert slots.free_for("low", "") == 0
    hold(slots, "high", 0)
    assert slots.free_for("low", "") == 1


def test_a_namespace_at_its_limit_holds_nobody_else_up() -> None:
    woken: list[str] = []
    slots = Slots(3, per_namespace=2)
    hold(slots, "a", 2, "one")
    hold(slots, "x", 1, "two")
    assert slots.free_for("b", "one") == 0
    assert slots.why_none("one") == "one of the 2 places of namespace 'one'"
    assert slots.why_none("two") == "one of the 3 places of the operator"
    slots.wait("b", lambda: woken.append("b"), "one", rank=(-9, 0))
    slots.wait("y", lambda: woken.append("y"), "two")
    hold(slots, "x", 0, "two")
    assert woken == ["y"]
    hold(slots, "y", 1, "two")
    hold(slots, "a", 1, "one")
    assert woken == ["y", "b"]


def test_who_was_woken_and_stopped_gives_the_place_back() -> None:
    woken: list[str] = []
    slots = Slots(1, per_namespace=1)
    hold(slots, "a", 1, "one")
    slots.wait("b", lambda: woken.append("b"), "one")
    slots.wait("c", lambda: woken.append("c"), "one")
    hold(slots, "a", 0, "one")
    slots.forget("b", "one")
    assert woken == ["b", "c"]
    slots.forget("c", "one")
    assert (slots.free, slots.free_for("d", "one")) == (1, 1)


def filled(held: dict[str, int], space: dict[str, str], namespace: str) -> list[str]:
    return [uid for uid, count in held.items() for _ in range(count) if space[uid] == namespace]


def test_what_is_held_and_kept_is_never_more_than_the_limits() -> None:
    """A random life: nobody who waits is left while there is a place for it."""
    draw = random.Random(7)
    slots, held, waiting = Slots(5, per_namespace=3), dict[str, int](), dict[str, str]()
    uids = [f"w{number}" for number in range(12)]
    space = {uid: f"n{number % 3}" for number, uid in enumerate(uids)}

    def turn(uid: str) -> None:
        keep = draw.randint(0, held.get(uid, 0))
        held[uid] = keep + min(draw.randint(0, 3), slots.free_for(uid, space[uid]))
        slots.hold(uid, held[uid], space[uid])
        if draw.random() < 0.8:
            waiting[uid] = space[uid]
            slots.wait(uid, partial(wake, uid), space[uid], rank=(draw.randint(0, 2), draw.randint(0, 2)))
        slots.serve()

    def wake(uid: str) -> None:
        waiting.pop(uid)
        woken.append(uid)

    woken: list[str] = []
    for _ in range(2_000):
        turn(woken.pop(0) if woken else draw.choice(uids))
        assert sum(held.values()) <= 5
        for namespace in set(space.values()):
            assert len(filled(held, space, namespace)) <= 3
        full = {namespace for namespace in space.values() if len(filled(held, space, namespace)) >= 3}
        assert woken or sum(held.values()) == 5 or set(waiting.values()) <= full
