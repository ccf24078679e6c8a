"""What the commands for keys of every kind (`api-key`, `signing-key`) have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, Protocol, TypeVar

import typer

from bridge.cli.boundary import Exit, Stop, show_json, tell
from bridge.cli.locks import nearest
from bridge.cli.show import moment, safe, table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from bridge.config import Config
    from bridge.keys.key_file import KeptKey

Key = TypeVar("Key", bound="KeptKey")
Key_co = TypeVar("Key_co", bound="KeptKey", covariant=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Keys(Protocol[Key_co]):
    """Where keys of one kind are kept."""

    def list(self) -> Sequence[Key_co]:
        """Return the keys, the oldest first."""
        ...

    def revoke(self, key_id: str) -> bool:
        """End a key; tell whether there was one."""
        ...


@dataclass(frozen=True, slots=True)
class Family(Generic[Key]):
    """One kind of keys, as its commands show it."""

    command: str
    """Such as `api-key`."""
    trait: str
    """What is told of each key besides its holder and its locks, such as `scope`."""
    trait_of: Callable[[Key], str]
    kept_for: Callable[[Config], Keys[Key]]

    def show(self, file: Path | None, *, as_json: bool) -> None:
        """List the keys."""
        kept = self.kept_for(configuration(file)).list()
        if as_json:
            show_json([self._told(key) for key in kept])
        elif kept:
            header = ("ID", "NAME", self.trait.upper(), "LOCKS", "MADE")
            for line in table(header, [self._row(key) for key in kept]):
                typer.echo(line)
        else:
            tell(f"There are no keys; `lock-bridge {self.command} create` makes one.")

    def complete(self, context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        """Return the ids that begin so, with the names of who holds the keys."""
        try:
            kept = self.kept_for(configuration(context.find_root().params.get("config"))).list()
        except Exception:  # noqa: BLE001 - a shell that waits for a completion is told nothing of what is wrong
            return []
        return [(key.id, key.name) for key in kept if key.id.startswith(incomplete)]

    def revoke(self, file: Path | None, key_id: str, *, as_json: bool) -> None:
        """End a key.

        Raises:
            Stop: there is none by that id.
        """
        keys = self.kept_for(configuration(file))
        if not keys.revoke(key_id):
            raise Stop(f'there is no key "{safe(key_id)}"{nearest(key_id, [key.id for key in keys.list()])}')
        if as_json:
            show_json({"id": key_id, "revoked": True})
        else:
            typer.echo(f"The key {key_id} is revoked.")

    def _row(self, key: Key) -> list[str]:
        locks = "all" if key.locks is None else ", ".join(sorted(key.locks))
        return [key.id, safe(key.name), self.trait_of(key), locks, moment(key.created_at.isoformat())]

    def _told(self, key: Key) -> dict[str, Any]:
        return {
            "id": key.id,
            "name": key.name,
            self.trait: self.trait_of(key),
            "locks": None if key.locks is None else sorted(key.locks),
            "created_at": key.created_at.isoformat(),
        }


def configuration(file: Path | None) -> Config:
    """Read the configuration.

    Raises:
        ConfigError: it is missing or wrong.
    """
    from bridge.config import load

    return load(file)


def check_locks(config: Config, wanted: Collection[str]) -> None:
    """See that a key is asked for locks that there are.

    Raises:
        Stop: one is not configured.
    """
    configured = [lock.id for lock in config.locks]
    for lock_id in wanted:
        if lock_id not in configured:
            raise Stop(f'there is no lock "{lock_id}"{nearest(lock_id, configured)}', Exit.WRONG)
