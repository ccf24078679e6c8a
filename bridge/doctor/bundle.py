"""The support bundle: what helps to find a fault, and nothing that opens a door.

Rules:
1. Every text passes through `scrub`; if a known secret is in one all the same, nothing is written.
2. What goes in is chosen name by name; no folder and no environment is taken as it is.
3. What cannot be had is left out, and the list of contents says why.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import tomllib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio.to_thread

from bridge.app import JOURNAL_FILE
from bridge.config.secret_files import CREDSTORE
from bridge.doctor import scrub, software
from bridge.doctor.service import UNIT
from bridge.errors import BridgeError
from bridge.keys.credentials import CredentialError, Credentials
from bridge.wire import timings

if TYPE_CHECKING:
    from bridge.config import Config
    from bridge.doctor.examination import Report
    from bridge.doctor.machine import Machine

LINES = "3000"
"""Of each log, the latest."""
ATTEMPTS = 500
_LONGEST_LOG = 8 * 2**20
_READING = 30.0
"""Seconds in which a log must have been read: journals on SD cards are slow."""
_LOGS: Mapping[str, tuple[str, ...]] = {
    "log/lock-bridge.txt": ("-u", UNIT),
    "log/bluetooth.txt": ("-u", "bluetooth.service"),
    "log/kernel-bluetooth.txt": ("-k", "-b", "--grep", "Bluetooth|hci[0-9]|brcm|Under-voltage"),
}
"""Arguments of journalctl."""


class Leak(BridgeError):
    """A known secret was found in what was to be given away."""


@dataclass(slots=True)
class Bundle:
    """Texts by their names, and what is left out by the reason."""

    texts: dict[str, str] = field(default_factory=dict[str, str])
    left_out: dict[str, str] = field(default_factory=dict[str, str])

    def packed(self, name: str) -> bytes:
        """Return it as a file: a zip if its name ends so, else a tar.gz."""
        return _zipped(self.texts) if name.lower().endswith(".zip") else _tarred(self.texts)


async def gather(
    config: Config | None,
    file: Path,
    machine: Machine,
    *,
    report: Report,
    said: Mapping[str, Any] | None,
    logs: Sequence[Path] = (),
) -> Bundle:
    """Put the bundle together.

    Args:
        config: the configuration; None if it cannot be used.
        file: where it is, or would be.
        machine: this one.
        report: what the doctor found.
        said: what the running bridge tells of itself; None if none runs.
        logs: further files with lines of the bridge's log.

    Raises:
        Leak: a known secret could not be taken out.
        OSError: one of the `logs` cannot be read.
    """
    raw = Bundle()
    raw.texts["versions.json"] = _json(software.versions() | {"distribution": _distribution(machine)})
    raw.texts["doctor.json"] = _json(report.body())
    if config is None:
        raw.left_out["configuration.json"] = "the configuration cannot be used; doctor.json tells why"
    else:
        raw.texts["configuration.json"] = _json(configuration(config))
    await _attempts(config, said, raw)
    for name, arguments in _LOGS.items():
        await _log(machine, name, arguments, raw)
    for number, path in enumerate(logs, 1):
        raw.texts[f"log/given-{number}.txt"] = await anyio.to_thread.run_sync(_tail, path)
    known = scrub.pattern(await anyio.to_thread.run_sync(known_secrets, config, file, os.environ))
    return _clean(raw, known)


def _clean(raw: Bundle, known: Any) -> Bundle:  # noqa: ANN401 - a pattern or None
    clean = Bundle(left_out=raw.left_out)
    for name, text in raw.texts.items():
        clean.texts[name] = scrub.scrub(text, known)
    contents = {"files": sorted(clean.texts), "left_out": clean.left_out}
    clean.texts["contents.json"] = scrub.scrub(_json(contents), known)
    for name, text in clean.texts.items():
        if scrub.leaks(text, known):
            raise Leak(f"a secret could not be taken out of {name}, so nothing was written; please report this")
    return clean


def configuration(config: Config) -> dict[str, Any]:
    """Return the configuration without secrets: names of files stay, tables of codes and paths of URLs do not."""
    shown: dict[str, Any] = scrub.plain(config.model_dump(mode="json", warnings=False))
    return shown


def known_secrets(config: Config | None, file: Path, environ: Mapping[str, str]) -> set[str]:
    """Return every secret that can be found here: in files, in the environment, in a configuration with mistakes."""
    found = scrub.secrets_in(_written(file))
    for name, value in environ.items():
        if scrub.names_a_secret(name) or name.startswith("LOCK_BRIDGE__"):
            found |= scrub.secrets_in(_read_value(value), named=scrub.names_a_secret(name))
        found |= scrub.secrets_in(value)
        if "CODES__" in name.upper():
            found.add(name.rpartition("__")[2])
    if config is None:
        return found
    found |= scrub.secrets_in(config)
    for secret_file in (config.mqtt.password_file, *_further_files(config)):
        found |= _lines(secret_file)
    keys = Credentials(config.bridge.state_dir)
    try:
        for lock_id in keys.ids():
            credential = keys.document(lock_id).get("credential")
            found |= scrub.secrets_in(credential) | _long(credential)
    except CredentialError:
        pass  # what this user may not read does not get into what this user gathers
    return found


def _written(file: Path) -> object:
    try:
        return tomllib.loads(file.read_text("utf-8", "replace"))
    except (OSError, ValueError, RecursionError):
        return {}


def _read_value(value: str) -> object:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _further_files(config: Config) -> list[Path | None]:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    told = [*Path(folder).iterdir()] if folder and os.access(folder, os.R_OK) else []
    told += CREDSTORE.glob("lock-bridge.*")
    return [config.mqtt.key_file, config.http.key_file, config.webhooks.secret_file, *told]


def _lines(file: Path | None) -> set[str]:
    """Return the lines of a file that is a secret; of a certificate's key each is one."""
    try:
        text = file.read_text("utf-8") if file else ""
    except (OSError, UnicodeDecodeError):
        return set()
    return {line.strip() for line in text.splitlines() if not line.startswith("-----")}


def _long(data: object) -> set[str]:
    """Return the texts in a key that are too long to be a name."""
    if isinstance(data, Mapping):
        return {each for value in cast("Mapping[str, object]", data).values() for each in _long(value)}
    return {data} if isinstance(data, str) and len(data) >= 16 and " " not in data else set()  # noqa: PLR2004 - see above


async def _attempts(config: Config | None, said: Mapping[str, Any] | None, raw: Bundle) -> None:
    name = "attempts.json"
    if said is not None:
        raw.texts["bridge.json"] = _json({key: value for key, value in said.items() if key != "attempts"})
        raw.texts[name] = _json(said["attempts"])
        return
    raw.left_out["bridge.json"] = "no bridge runs, or it may not be asked by this user"
    if config is None:
        raw.left_out[name] = "where the journal is is not known"
        return
    from bridge.journal.inspection import inspect

    try:
        path = config.bridge.state_dir / JOURNAL_FILE
        seen = await anyio.to_thread.run_sync(lambda: inspect(path, ATTEMPTS))
    except OSError as error:
        raw.left_out[name] = f"the journal cannot be read: {error.strerror}"
        return
    if seen.in_use or seen.damage:
        raw.left_out[name] = seen.damage or "a bridge that may not be asked has the journal open"
    raw.texts[name] = _json([timings.timing(attempt) for attempt in seen.attempts])


async def _log(machine: Machine, name: str, arguments: Sequence[str], raw: Bundle) -> None:
    asked = ("journalctl", "--no-pager", "-q", "-o", "short-iso-precise", "-n", LINES, *arguments)
    printed = await machine.prints(*asked, within=_READING)
    if printed is None:
        raw.left_out[name] = "journalctl is not there, or does not answer"
    elif not printed.text:
        raw.left_out[name] = "the journal of systemd has nothing of it that this user may read"
    else:
        raw.texts[name] = printed.text[-_LONGEST_LOG:]


def _tail(path: Path) -> str:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _LONGEST_LOG))
        return stream.read(_LONGEST_LOG).decode("utf-8", "replace")


def _distribution(machine: Machine) -> str:
    lines = (machine.text("/etc/os-release") or "").splitlines()
    return next((line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")), "?")


def _json(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n"


def _tarred(texts: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        _each(texts, lambda name, content: archive.addfile(_member(name, content), io.BytesIO(content)))
    return packed.getvalue()


def _zipped(texts: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        _each(texts, archive.writestr)
    return packed.getvalue()


def _each(texts: Mapping[str, str], add: Callable[[str, bytes], None]) -> None:
    for name, text in texts.items():
        add(f"lock-bridge-support/{name}", text.encode("utf-8", "replace"))


def _member(name: str, content: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o600
    return member
