"""Spans as OpenTelemetry has them: sent over OTLP/HTTP, or as OTLP JSON.

Promises: the SDK's exporter sends them, with its retries and all the OTEL_EXPORTER_OTLP_ variables (headers,
certificates, compression, timeout); what it could not send is said. The resource holds nothing of this process, as
`Resource.create` would, but what OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say. Bounded: BATCH_SPANS_MAX spans a
request. Must never change a span.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from .errors import CannotTell
from .spans import Mark, Span

BATCH_SPANS_MAX = 512  # x some 0.7 KiB = 360 KiB, far below the 4 MiB and more that collectors take
NANOSECONDS = 1_000_000  # of a millisecond
TRACES = "/v1/traces"
SCOPE = InstrumentationScope("kipu")
IDS = ("traceId", "spanId", "parentSpanId")


def send(spans: Sequence[Span], endpoint: str | None) -> None:
    """To this collector, or to the one that the environment names. Raises CannotTell."""
    exporter = trace_exporter.OTLPSpanExporter(endpoint=None if endpoint is None else traces_url(endpoint))
    with _Heard() as heard:
        try:
            for start in range(0, len(spans), BATCH_SPANS_MAX):
                if exporter.export(_readable(spans[start : start + BATCH_SPANS_MAX])) is not SpanExportResult.SUCCESS:
                    where = endpoint or "the collector of OTEL_EXPORTER_OTLP_ENDPOINT"
                    raise CannotTell(f"{where} did not take the spans: {heard.why()}; to send them again is harmless")
        finally:
            exporter.shutdown()  # type: ignore[no-untyped-call]


def as_json(spans: Sequence[Span]) -> str:
    """One ExportTraceServiceRequest in the JSON of OTLP, in which ids are hex and not base64."""
    request = MessageToDict(encode_spans(_readable(spans)), use_integers_for_enums=True)
    for resource in request.get("resourceSpans", ()):
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for holder in (span, *span.get("links", ())):
                    _to_hex(holder)
    return json.dumps(request, separators=(",", ":"), ensure_ascii=False)


def traces_url(endpoint: str) -> str:
    """Where a collector takes traces. Raises CannotTell for what is no URL."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise CannotTell(f"'{endpoint}' is no URL of a collector: give one like http://localhost:4318")
    return endpoint if parts.path.rstrip("/").endswith(TRACES) else endpoint.rstrip("/") + TRACES


def _to_hex(holder: dict[str, Any]) -> None:
    for name in IDS:
        if name in holder:
            holder[name] = base64.b64decode(holder[name]).hex()


def _readable(spans: Sequence[Span]) -> list[ReadableSpan]:
    resource = Resource({"service.name": "kipu"}).merge(OTELResourceDetector().detect())
    return [_span(span, resource) for span in spans]


def _span(span: Span, resource: Resource) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=_context(span.trace, span.id),
        parent=None if span.parent is None else _context(span.trace, span.parent),
        resource=resource,
        attributes=span.attributes,
        events=[_event(mark) for mark in span.marks],
        links=[Link(_context(link.trace, link.span)) for link in span.links],
        kind=SpanKind.INTERNAL,
        status=Status(StatusCode.UNSET) if span.error is None else Status(StatusCode.ERROR, span.error),
        start_time=span.begun * NANOSECONDS,
        end_time=span.ended * NANOSECONDS,
        instrumentation_scope=SCOPE,
    )


def _event(mark: Mark) -> Event:
    return Event(mark.name, mark.attributes, timestamp=mark.ts * NANOSECONDS)


def _context(trace: str, span: str) -> SpanContext:
    return SpanContext(int(trace, 16), int(span, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


class _Heard(logging.Handler):
    """What the exporter says of a failure: it returns no reason. While this is there nothing of it is printed."""

    def __init__(self) -> None:
        super().__init__()
        self._messages: list[str] = []
        self._logger = logging.getLogger(trace_exporter.__name__)

    def emit(self, record: logging.LogRecord) -> None:
        """See Handler."""
        self._messages.append(record.getMessage().rstrip("."))

    def why(self) -> str:
        """The last words, and the first: of a try that was repeated only those have a reason."""
        return "; ".join(dict.fromkeys([*self._messages[-1:], *self._messages[:1]])) or "no reason is known"

    def __enter__(self) -> _Heard:
        self._logger.addHandler(self)
        self._logger.propagate = False
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = True
