"""`lock-bridge demo`."""

from __future__ import annotations

import functools
import json
import logging
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bridge.demo.scenes import Scene


def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave it running to play with, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each message as a line of JSON.")] = False,
) -> None:
    """Show the whole bridge at work, with nothing to set up: a broker, two virtual locks, a few commands."""
    import anyio
    import structlog

    from bridge.demo import show

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.disable(logging.WARNING)
    try:
        anyio.run(functools.partial(show.run, _Lines() if as_json else _Pages(), keep=keep))
    except KeyboardInterrupt:
        typer.echo("")


class _Pages:
    """Text for people."""

    def __init__(self) -> None:
        from rich.console import Console

        class Pipe(Console):
            def on_broken_pipe(self) -> None:
                """Leave it to the command line's end, as for every command."""
                raise BrokenPipeError

        self._console = Pipe(highlight=False)
        self._told: set[str] = set()

    def scene(self, scene: Scene, topic: str) -> None:
        self._console.print()
        self._console.rule(style="dim")
        self._console.print(f"[bold]{scene.title}[/bold]")
        self._console.print(f"[green]→ {topic}[/green]")
        self._body(scene.command)

    def message(self, topic: str, body: dict[str, Any]) -> None:
        from bridge.demo.scenes import caption, kind_of

        self._console.print(f"[cyan]← {topic}[/cyan]")
        meaning = caption(kind_of(topic))
        if meaning not in self._told:  # once is enough
            self._told.add(meaning)
            self._console.print(f"[dim]{meaning}[/dim]")
        self._body(body)

    def farewell(self, port: int, *, keep: bool) -> None:
        self._console.print()
        self._console.rule(style="dim")
        if keep:
            self._console.print(
                f"The demo goes on at mqtt://127.0.0.1:{port}; Ctrl-C ends it. Try, in other terminals:"
            )
            self._console.print(f"  mosquitto_sub -p {port} -v -t 'lockbridge/#'")
            self._console.print(
                f"  mosquitto_pub -p {port} -t lockbridge/demo/locks/front_door/actions"
                """ -m '{"action": "unlock", "custom_id": "mine-1"}'"""
            )
        else:
            self._console.print(
                "That was the whole bridge, with virtual locks. `--keep` leaves it running to play with."
            )

    def _body(self, body: dict[str, Any]) -> None:
        self._console.print_json(data=body)


class _Lines:
    """JSON for programs."""

    def scene(self, scene: Scene, topic: str) -> None:
        self._line(sent=topic, body=scene.command)

    def message(self, topic: str, body: dict[str, Any]) -> None:
        self._line(received=topic, body=body)

    def farewell(self, port: int, *, keep: bool) -> None:
        if keep:
            self._line(broker=f"mqtt://127.0.0.1:{port}")

    def _line(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        typer.echo(json.dumps(fields, ensure_ascii=False))
