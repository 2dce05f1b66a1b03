"""The reference of the resources, as a page for people, made from the schemas of the CRDs and from the examples.

    python -m kipu.api.reference        writes docs/reference.md

Promises: every field of every resource, once: its type, its bounds and its description, which are the model's own, and
an example that has it. An object that stands in several places is told once, and the others point to it. Must never
walk the models: what the API server is told is what the page says. Must never be imported by the operator.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .crd import definition
from .crd_kinds import RESOURCES, Custom
from .v1alpha1_base import API_VERSION, DURATION_PATTERN, NAME_LENGTH_MAX, NAME_PATTERN
from .v1alpha1_workspace import CLAIM_PATTERN

Schema = Mapping[str, Any]
Uses = Mapping[tuple[str, str], str]  # the example that has a field, by the heading of its object and its name
PAGE, EXAMPLES = Path("docs/reference.md"), Path("examples")
HEADER = f"""# Reference

Every field of the resources of `{API_VERSION}`. Generated from `operator/kipu/api/v1alpha1*.py` by `make crds`: do not
edit. `kubectl explain` says the same. A field is optional unless it is **required**; no other field is taken.
"""
_PATTERNS = {
    DURATION_PATTERN: "a duration, such as `90s` or `1h30m`",
    NAME_PATTERN: f"a name: lower-case letters, digits and `-`, at most {NAME_LENGTH_MAX}",
    CLAIM_PATTERN: "a DNS subdomain, at most 253 characters",
}
_LENGTHS = (("Length", "characters"), ("Items", "entries"), ("Properties", "keys"))


@dataclass(slots=True)
class _Section:
    """One object: where it stands first, and everywhere else."""

    heading: str
    schema: Schema
    places: list[str] = field(default_factory=list)


def render(examples: Mapping[str, Sequence[object]]) -> str:
    """The page. `examples`: the documents of each file, by its name."""
    sections = _sections()
    uses = _uses(sections, examples)
    top = {custom.kind: custom for custom in RESOURCES}
    parts = [HEADER]
    for section in sections.values():
        custom = top.pop(section.heading.split(".")[0], None)
        if custom is not None:
            parts.append(f"## {custom.kind}\n\n{custom.description}\n")
        parts.append("\n".join(_section(section, sections, uses)))
    return "\n".join(parts)


# -- the objects ---------------------------------------------------------------------------------------------------


def _sections() -> dict[str, _Section]:
    """By what tells two objects apart: their fields."""
    found: dict[str, _Section] = {}
    for custom in RESOURCES:
        for name in ("spec", "status"):
            schema = _root(custom).get(name)
            if schema is not None:
                _collect(schema, f"{custom.kind}.{name}", found)
    return found


def _root(custom: Custom) -> Schema:
    schema: Schema = definition(custom)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return schema


def _collect(schema: Schema, place: str, found: dict[str, _Section]) -> None:
    known = found.setdefault(_key(schema), _Section(place, schema))
    known.places.append(place)
    # A step is told as one of `steps`, and not as one of `finally`, which stands before it.
    for name, each in sorted(schema["properties"].items(), key=lambda one: one[0] != "steps"):
        inner, suffix = _inner(each)
        if "properties" in inner:
            _collect(inner, f"{place}.{name}{suffix}", found)


def _inner(schema: Schema) -> tuple[Schema, str]:
    """What a list or a map holds, and how that is written behind its name; else the schema itself."""
    if schema.get("type") == "array":
        return schema["items"], "[]"
    values = schema.get("additionalProperties")
    return (values, "{}") if isinstance(values, Mapping) else (schema, "")


def _key(schema: Schema) -> str:
    return json.dumps(schema["properties"], sort_keys=True)


# -- the examples --------------------------------------------------------------------------------------------------


def _uses(sections: Mapping[str, _Section], examples: Mapping[str, Sequence[object]]) -> dict[tuple[str, str], str]:
    """Of several examples with a field, the one whose name is like the field's, else the first."""
    at = {place: section.heading for section in sections.values() for place in section.places}
    found: dict[tuple[str, str], str] = {}
    for name in sorted(examples):
        for document in examples[name]:
            if isinstance(document, Mapping):
                for place, key in _fields(document.get("spec"), f"{document.get('kind')}.spec"):
                    if place in at:
                        known = found.setdefault((at[place], key), name)
                        if _words(name) == _words(key) != _words(known):
                            found[at[place], key] = name
    return found


def _words(name: str) -> str:
    return name.lower().replace("-", "")


def _fields(value: object, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for each in value:
            yield from _fields(each, f"{place}[]")
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield place, str(key)
            yield from _fields(each, f"{place}.{key}")


# -- the page ------------------------------------------------------------------------------------------------------


def _section(section: _Section, sections: Mapping[str, _Section], uses: Uses) -> Iterator[str]:
    schema = section.schema
    yield f"### {section.heading}\n"
    if schema.get("description"):
        yield f"{_text(schema['description'])}\n"
    kind = section.heading.split(".")[0]
    others = [place for place in section.places if place != section.heading and place.startswith(f"{kind}.")]
    if others:
        yield f"Also: {', '.join(f'`{place}`' for place in others)}.\n"
    yield from _rules(schema)
    shared = _shared(section, sections)
    if shared:
        yield f"As in [Workflow.spec](#{_anchor('Workflow.spec')}): {', '.join(f'`{name}`' for name in shared)}.\n"
    own = {name: each for name, each in schema["properties"].items() if name not in shared}
    if own:
        yield "| Field | Type | Bounds | What it is | Example |"
        yield "|---|---|---|---|---|"
        for name, each in own.items():
            is_required = name in schema.get("required", ())
            example = uses.get((section.heading, name))
            yield _row(name, each, sections, example, is_required=is_required)
        yield ""


def _rules(schema: Schema) -> Iterator[str]:
    rules = schema.get("x-kubernetes-validations", ())
    if rules:
        yield "The API server holds to this:\n"
        for rule in rules:
            where = f"`{rule['fieldPath'].removeprefix('.')}`: " if "fieldPath" in rule else ""
            yield f"- {where}{_text(rule['message'])}"
        yield ""


def _shared(section: _Section, sections: Mapping[str, _Section]) -> list[str]:
    """The fields that the spec of another resource has from that of a Workflow."""
    first = next(iter(sections.values()))
    if section is first or not section.heading.endswith(".spec"):
        return []
    known = {name: _plain(each) for name, each in first.schema["properties"].items()}
    return [name for name, each in section.schema["properties"].items() if _plain(each) == known.get(name)]


def _plain(schema: Schema) -> Schema:
    """Without the rules, which stand where the object is told."""
    return {key: value for key, value in schema.items() if key != "x-kubernetes-validations"}


def _row(name: str, schema: Schema, sections: Mapping[str, _Section], example: str | None, *, is_required: bool) -> str:
    kind = _type(schema, sections) + (", **required**" if is_required else "")
    link = f"[{example}](../examples/{example}.yaml)" if example else ""
    return f"| `{name}` | {kind} | {'; '.join(_bounds(schema))} | {_text(schema.get('description', ''))} | {link} |"


def _type(schema: Schema, sections: Mapping[str, _Section]) -> str:
    inner, suffix = _inner(schema)
    if suffix:
        return f"{'list' if suffix == '[]' else 'map'} of {_type(inner, sections)}"
    if "properties" in schema:
        heading = sections[_key(schema)].heading
        return f"[object](#{_anchor(heading)})"
    return str(schema.get("type", "any"))


def _bounds(schema: Schema) -> Iterator[str]:
    if "enum" in schema:
        yield "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if (words := _PATTERNS.get(schema.get("pattern", ""))) is not None:
        yield words
        return
    for word, unit in _LENGTHS:
        yield from _range(schema.get(f"min{word}"), schema.get(f"max{word}"), f" {unit}")
    yield from _range(schema.get("minimum"), schema.get("maximum"), "")
    if "pattern" in schema:
        yield f"`{schema['pattern']}`".replace("|", "\\|")
    inner, suffix = _inner(schema)
    if suffix and (each := "; ".join(_bounds(inner))):
        yield f"each {each}"


def _range(least: int | None, most: int | None, unit: str) -> Iterator[str]:
    if least is not None and most is not None:
        yield f"{least:,} to {most:,}{unit}"
    elif most is not None:
        yield f"at most {most:,}{unit}"
    elif least is not None:
        yield f"at least {least:,}{unit}"


def _text(description: str) -> str:
    """Of a table: what would end a cell or begin a tag is escaped, but in code what ends a cell alone."""
    return re.sub(r"`[^`|]*`|[|<*_\\]", lambda match: match[0] if match[0][0] == "`" else f"\\{match[0]}", description)


def _anchor(heading: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


def main() -> int:
    """Write the page, below the directory in which this is run."""
    PAGE.write_text(render(read_examples(EXAMPLES)), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
    return 0


def read_examples(folder: Path) -> dict[str, list[object]]:
    """The documents of each file, by its name without the ending."""
    return {path.stem: list(yaml.safe_load_all(path.read_text(encoding="utf-8"))) for path in folder.glob("*.yaml")}


if __name__ == "__main__":
    sys.exit(main())
