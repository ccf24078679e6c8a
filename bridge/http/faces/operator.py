"""Operations: is it well, what has it done, what can be asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from starlette.responses import Response
from typing_extensions import TypedDict

from bridge import __version__
from bridge.http import answers
from bridge.http.operation import Call, Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.lifecycle import Bridge

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Health(TypedDict):
    """That the bridge answers."""

    ok: Literal[True]
    msg: str


def operations(bridge: Bridge, faces: Sequence[Operation]) -> list[Operation]:
    """Return what can be asked for.

    Args:
        bridge: is asked.
        faces: what else there is, for the document that tells of it.
    """

    async def health(_call: Call) -> Response:
        return answers.json({"ok": True, "msg": "The bridge answers."})

    async def metrics(call: Call) -> Response:
        from bridge.http import metrics

        page = await metrics.page(bridge, call.caller.locks)
        return Response(page, headers={"cache-control": "no-store"}, media_type=METRICS_TYPE)

    async def openapi(_call: Call) -> Response:
        from bridge.http import openapi

        return answers.json(openapi.document([*faces, *ours], __version__))

    async def asyncapi(_call: Call) -> Response:
        from bridge.mqtt import asyncapi

        return answers.json(asyncapi.document(bridge.config))

    ours = [
        Operation("GET", "/health", health, "Whether the bridge answers", scope=None, answers=Health),
        Operation(
            "GET",
            "/metrics",
            metrics,
            "What it has done and how it is, for Prometheus",
            media_type=METRICS_TYPE,
            statuses={503: "The bridge cannot read its journal"},
        ),
        Operation("GET", "/openapi.json", openapi, "This document"),
        Operation("GET", "/asyncapi.json", asyncapi, "What can be said and heard over MQTT, as AsyncAPI"),
    ]
    return ours
