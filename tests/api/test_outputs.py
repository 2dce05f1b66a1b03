"""What a program has written to $KIPU_OUTPUT: whole and as declared, or refused with a reason."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kipu.api import outputs, values
from kipu.api.outputs import OutputError
from kipu.core.definition import Output, ValueType
from kipu.core.events import Reason

ALL = (
    Output(name="text"),
    Output(name="rows", type=ValueType.INT),
    Output(name="ok", type=ValueType.BOOL),
    Output(name="rate", type=ValueType.DOUBLE),
    Output(name="config", type=ValueType.JSON),
)
ONE = (Output(name="text"),)


def read(message: str, *declared: Output) -> dict[str, object]:
    return dict(outputs.read(message, declared, containers=1))


def refusal(message: str, *declared: Output) -> str:
    with pytest.raises(OutputError) as error:
        outputs.read(message, declared, containers=1)
    assert error.value.reason is Reason.OUTPUT_INVALID
    return str(error.value)


def as_the_kubelet_keeps(written: bytes, containers: int) -> bytes:
    """tail.ReadAtMost, then normalizeStatus: the last 4,096 bytes of the file, and the first 12,288 / n of these."""
    return written[-4_096:][: 12_288 // containers]


@pytest.mark.parametrize("containers", range(1, 9))
def test_a_message_of_any_length_is_taken_whole_or_refused(containers: int) -> None:
    bound = min(4_096, 12_288 // containers)
    for length in range(4_097):
        written = b"text=" + b"x" * (length - 5) if length >= 5 else b"\n" * length
        kept = as_the_kubelet_keeps(written, containers).decode()
        if 5 <= length < bound:
            assert outputs.read(kept, ONE, containers=containers) == {"text": "x" * (length - 5)}
            continue
        with pytest.raises(OutputError) as error:
            outputs.read(kept, ONE, containers=containers)
        assert error.value.reason is (Reason.OUTPUT_INVALID if length < 5 else Reason.OUTPUT_TOO_LARGE)


@pytest.mark.parametrize("containers", range(1, 9))
@pytest.mark.parametrize("length", [4_096, 4_097, 5_000, 100_000])
def test_a_file_that_is_longer_than_the_kubelet_reads_is_never_taken(length: int, containers: int) -> None:
    # Its end alone would be a sound output: the kubelet reads the last 4,096 bytes.
    written = (b"text=cut\n" * (length // 9 + 1))[-length:]
    with pytest.raises(OutputError) as error:
        outputs.read(as_the_kubelet_keeps(written, containers).decode(), ONE, containers=containers)
    assert error.value.reason is Reason.OUTPUT_TOO_LARGE


def test_the_bound_counts_bytes_and_not_characters() -> None:
    fits = "text=" + "é" * 2_045
    assert len(fits.encode()) == 4_095
    assert outputs.read(fits, ONE, containers=1) == {"text": "é" * 2_045}
    with pytest.raises(OutputError, match="come up to 4096 bytes"):
        outputs.read(fits + "x", ONE, containers=1)
    with pytest.raises(OutputError, match="come up to 1536 bytes, where the kubelet cuts them off in a pod of 8"):
        outputs.read(fits, ONE, containers=8)


def test_lines_and_json_say_the_same() -> None:
    expected = {"text": " a=b ", "rows": 42, "ok": True, "rate": "0.5", "config": '{"a":[1,2.5,null]}'}
    lines = 'text= a=b \n\nrows= 42 \r\nok=true\nrate=.5\nconfig={"a": [1, 2.5, null]}\n'
    assert read(lines, *ALL) == expected
    as_json = {"text": " a=b ", "rows": 42, "ok": True, "rate": 0.5, "config": {"a": [1, 2.5, None]}}
    assert read("\n " + json.dumps(as_json, indent=1), *ALL) == expected


def test_of_a_name_written_twice_the_last_one_stands() -> None:
    assert read("text=1\ntext=2\n", *ONE) == {"text": "2"}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "output 'text' was not written to $KIPU_OUTPUT"),
        ("Error on reading termination log /x: no", "line 1 of the outputs is not name=value"),
        ("txt=1", "'txt' is not a declared output; is it 'text'?"),
        ("text=a\x1bb", "output 'text' holds a control character; write it as JSON"),
        ("text=\ufffd", "the outputs are not UTF-8"),
        ("text=e\u0301", "composed form"),
        ('{"text": 1}', "output 'text' is declared as String and is not text: 1"),
        ('{"text": "a", "text": "b"}', "an object has a key twice"),
        ('{"text": ', "the outputs begin with '{' and are not JSON"),
        ('{"text": "\\ud800"}', "not valid Unicode"),
        ('{"text":' + "[" * 2_000, "nested more than"),
    ],
)
def test_what_is_not_as_declared_is_refused_with_the_reason(message: str, reason: str) -> None:
    assert reason in refusal(message, *ONE)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (ValueType.INT, "x"),
        (ValueType.INT, "1.5"),
        (ValueType.INT, ""),
        (ValueType.INT, "9223372036854775808"),
        (ValueType.INT, "1" * 4_000),
        (ValueType.INT, "true"),
        (ValueType.INT, "٣"),
        (ValueType.BOOL, "True"),
        (ValueType.BOOL, "1"),
        (ValueType.DOUBLE, "nan"),
        (ValueType.DOUBLE, "1e999"),
        (ValueType.DOUBLE, "true"),
        (ValueType.JSON, "{"),
        (ValueType.JSON, "NaN"),
        (ValueType.JSON, "[" * 2_000),
        (ValueType.JSON, "[" * 50 + "]" * 50),
        (ValueType.JSON, "1" * 30),
    ],
)
def test_a_value_of_another_type_is_refused_in_lines_and_in_json(kind: ValueType, text: str) -> None:
    output = Output(name="it", type=kind)
    assert "it" in refusal(f"it={text}", output)
    if kind is not ValueType.JSON:
        assert "output 'it' is declared as" in refusal(json.dumps({"it": text}), output)


@pytest.mark.parametrize(
    ("kind", "text", "recorded"),
    [
        (ValueType.INT, "9223372036854775807", 2**63 - 1),
        (ValueType.INT, "-007", -7),
        (ValueType.DOUBLE, "1e3", "1000"),
        (ValueType.DOUBLE, "7", "7"),
        (ValueType.JSON, "null", "null"),
        (ValueType.JSON, '"\\u0007"', '"\\u0007"'),
        (ValueType.STRING, "", ""),
    ],
)
def test_values_at_their_bounds_are_taken(kind: ValueType, text: str, recorded: object) -> None:
    assert read(f"it={text}", Output(name="it", type=kind)) == {"it": recorded}


@pytest.mark.proof
@given(st.text(max_size=80), st.sampled_from(list(ValueType)))
def test_any_text_gives_outputs_or_a_reason(message: str, kind: ValueType) -> None:
    for text in (message, f"it={message}", f'{{"it": {message}}}', f'{{"it": {json.dumps(message)}}}'):
        with suppress(OutputError):
            found = outputs.read(text, (Output(name="it", type=kind),), containers=1)
            assert values.text(values.read(found["it"], kind)) if kind is ValueType.DOUBLE else found
