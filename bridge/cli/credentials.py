"""`lock-bridge credentials`."""

from __future__ import annotations

import os
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.boundary import Exit, Stop, show_json, tell, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.config import Config
    from bridge.keys.credentials import Credentials
    from bridge.keys.keybox import Kept

credentials = typer.Typer(
    no_args_is_help=True,
    help="Keep the keys to the locks somewhere else, so that a worn-out SD card orphans no lock.",
)

_PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", help="A file whose first line is the passphrase; else it is asked for.", metavar="FILE"
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print the ids of the locks as JSON.")]


@credentials.command("export")
def export_keys(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to; it must not be there yet.", metavar="FILE")],
    *,
    passphrase_file: _PassphraseFile = None,
    as_json: _Json = False,
) -> None:
    """Write the keys of all paired locks to FILE, under a passphrase.

    With the file and the passphrase anyone can open the doors; without the passphrase nobody can use the file.
    """
    from bridge.cli.files import write_private
    from bridge.config import load
    from bridge.keys import keybox
    from bridge.keys.credentials import Credentials

    config = load(context.obj)
    if os.path.lexists(file):
        raise Stop(f"{file} is there already; name another file, or remove that one", Exit.WRONG)
    kept = _kept(config, Credentials(config.bridge.state_dir))
    if not kept:
        raise Stop(f"there are no keys in {config.bridge.state_dir}: no lock has been paired")
    passphrase = _passphrase(passphrase_file, twice=True)
    if len(passphrase) < keybox.SHORTEST:
        raise Stop(f"the passphrase is too short; use {keybox.SHORTEST} characters or more, such as five words")
    box = keybox.Keybox(bridge_id=config.bridge.id, made_at=datetime.now(UTC), locks=kept)
    write_private(file, keybox.seal(box, passphrase))
    ids = [each.id for each in kept]
    if as_json:
        show_json({"file": str(file), "locks": ids})
        return
    tell(f"The keys of {', '.join(ids)} are in {file}. Keep it and the passphrase in two places, neither on this card.")
    tell(f"On another machine: lock-bridge credentials import {file.name}")


@credentials.command("import")
def import_keys(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="What `credentials export` wrote.", metavar="FILE")],
    *,
    passphrase_file: _PassphraseFile = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace keys that differ from those in FILE, which are then lost.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Take the keys in FILE over, and print what to configure for locks that the configuration has not.

    Either all keys are taken over or none.
    """
    from bridge.config import load, preflight
    from bridge.keys import keybox
    from bridge.keys.credentials import Credentials

    config = load(context.obj)
    data = _read(file, keybox.LARGEST)
    box = keybox.unseal(data, _passphrase(passphrase_file, twice=False))
    keys = Credentials(config.bridge.state_dir)
    checked = [(each, _document(each)) for each in box.locks]
    if not replace:
        _refuse_others(checked, keys)
    preflight.make_state_dir(config)
    for each, document in checked:
        keys.put(each.id, document)
    taken = _take_up(context.obj, config)
    if as_json:
        show_json({"file": str(file), "locks": [each.id for each in box.locks]})
        return
    tell(
        f"Taken over from the bridge {box.bridge_id} as of {box.made_at:%Y-%m-%d}: "
        f"{', '.join(each.id for each in box.locks)}."
    )
    if taken:
        tell("The running bridge was told of them.")
    _print_blocks(config, box.locks)


def _kept(config: Config, keys: Credentials) -> list[Kept]:
    """Return the key of every paired lock, configured or not.

    Raises:
        CredentialError: one of them cannot be read; no export is better than one that lacks a key.
    """
    from bridge.keys.keybox import Kept

    known = {lock.id: lock for lock in config.locks}
    kept: list[Kept] = []
    for lock_id in keys.ids():
        said = keys.document(lock_id)
        lock = known.get(lock_id)
        fields: dict[str, Any] = {"id": lock_id, "driver": said.get("driver"), "credential": said.get("credential")}
        if lock is not None:
            fields |= {"name": lock.name, "address": lock.address}
        try:
            kept.append(Kept.model_validate(fields))
        except ValueError:
            raise Stop(f"{keys.path(lock_id)} is damaged; pair the lock again, or remove the file") from None
    return kept


def _document(kept: Kept) -> dict[str, Any]:
    """Return what is stored of a key, checked by its driver where that is installed."""
    from bridge import catalog

    document = {"driver": kept.driver, "credential": kept.credential}
    if kept.driver not in catalog.installed():
        warn(f'there is no driver "{kept.driver}" here; the key of {kept.id} is taken over unchecked')
        return document
    try:
        catalog.load(kept.driver).credential.model_validate(kept.credential)
    except ValueError:
        raise Stop(f"the key of {kept.id} in the file is none that the driver {kept.driver} can use") from None
    return document


def _refuse_others(checked: Sequence[tuple[Kept, dict[str, Any]]], keys: Credentials) -> None:
    """Refuse to overwrite a key that differs.

    Raises:
        Stop: there is one.
    """
    from bridge.keys.credentials import CredentialError, CredentialMissing

    others: list[str] = []
    for each, document in checked:
        try:
            if keys.document(each.id) != document:
                others.append(each.id)
        except CredentialMissing:
            continue
        except CredentialError:
            others.append(each.id)
    if others:
        raise Stop(
            f"another key is stored for {', '.join(others)}, and perhaps it is the newer one; nothing was changed. "
            "To replace it by the one in the file, add --replace"
        )


def _take_up(file: Path | None, config: Config) -> bool:
    """Have the running bridge use the keys from now on; tell whether it is there and does."""
    from bridge.cli.client import Bridge, NotRunning

    bridge = Bridge(file)
    try:
        if bridge.get("bridge", "diagnostics").get("bridge_id") != config.bridge.id:
            return False
        bridge.post("bridge", "take-up", body={})
    except NotRunning:
        return False
    except Stop as error:
        warn(f"the running bridge was not told: {error}. Restart it: systemctl restart lock-bridge")
        return False
    return True


def _print_blocks(config: Config, locks: Sequence[Kept]) -> None:
    from bridge.cli.blocks import block

    known = {lock.id for lock in config.locks}
    missing = [each for each in locks if each.id not in known]
    if not missing:
        return
    tell("The configuration lacks these; add them to it, and restart the bridge:")
    for each in missing:
        typer.echo(block(each.id, each.name or each.id, each.driver, each.address or "see lock-bridge scan"))


def _passphrase(file: Path | None, *, twice: bool) -> str:
    """Return the passphrase from the file or, on a terminal, from the person.

    Raises:
        Stop: there is none.
    """
    if file is None:
        if not sys.stdin.isatty():
            raise Stop("there is no terminal to ask for the passphrase on; use --passphrase-file", Exit.WRONG)
        asked: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=twice)
        return asked
    try:
        if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            warn(f"others can read {file}; do: chmod 600 {file}")
        first = file.read_text("utf-8").split("\n", 1)[0].removesuffix("\r")
    except (OSError, UnicodeDecodeError):
        raise Stop(f"the passphrase file {file} cannot be read", Exit.WRONG) from None
    if not first:
        raise Stop(f"the first line of {file} is empty; write the passphrase there", Exit.WRONG)
    return first


def _read(file: Path, most: int) -> bytes:
    try:
        with file.open("rb") as stream:
            data = stream.read(most + 1)
    except PermissionError:
        raise
    except OSError as error:
        raise Stop(f"{file} cannot be read: {error.strerror}", Exit.WRONG) from None
    if len(data) > most:
        raise Stop(f"{file} is too large to be an export of credentials", Exit.WRONG)
    return data
