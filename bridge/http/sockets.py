"""The sockets that the HTTP door listens on: a Unix socket always, a TCP socket by choice."""

from __future__ import annotations

import errno
import grp
import os
import secrets
import socket
import ssl
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from bridge.config import Config
from bridge.config.secret_files import located
from bridge.errors import BridgeError

SOCKET = "api.sock"
SYSTEM_FOLDER = Path("/run/lock-bridge")
GROUP = "lock-bridge"
"""Its members may operate the locks by the Unix socket."""
BACKLOG = 64
KEY = "http_key"
"""The systemd credential that holds the key of the certificate."""


class SocketTaken(BridgeError):
    """Another bridge listens there already. The message says what to do."""


def places(config: Config, environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Return where the Unix socket may be, the first choice first.

    The daemon takes the first of them that it can make; who looks for the daemon tries one after the other.
    """
    if config.http.socket is not None:
        return [config.http.socket]
    if folder := environ.get("RUNTIME_DIRECTORY"):
        return [Path(folder.split(":")[0]) / SOCKET]
    return [SYSTEM_FOLDER / SOCKET, config.bridge.state_dir / SOCKET]


def connect(config: Config, environ: Mapping[str, str] = os.environ) -> socket.socket:
    """Connect to the running bridge.

    Raises:
        OSError: there is none; `PermissionError` if there is and this user may not use it.
    """
    trouble: OSError = FileNotFoundError(errno.ENOENT, "there is no such socket")
    for place in places(config, environ):
        connection = socket.socket(socket.AF_UNIX)
        try:
            with _short(place) as short:
                connection.connect(short)
        except OSError as error:
            connection.close()
            if not isinstance(error, FileNotFoundError):
                trouble = error
        else:
            return connection
    raise trouble


def listen_here(config: Config, environ: Mapping[str, str] = os.environ) -> tuple[socket.socket, Path]:
    """Listen on the Unix socket.

    Raises:
        SocketTaken: another bridge does.
        ConfigError: it cannot be made anywhere.
    """
    trouble: OSError | None = None
    for place in places(config, environ):
        try:
            if place.parent == SYSTEM_FOLDER:
                SYSTEM_FOLDER.mkdir(mode=0o755, exist_ok=True)
            return _listening(place), place
        except OSError as error:
            trouble = error
    reason = trouble.strerror if trouble else "no place"
    raise config.error(("http", "socket"), f"{places(config, environ)[-1]} cannot be made: {reason}")


def _listening(place: Path) -> socket.socket:
    """Listen at a place, in the stead of a socket that a killed bridge left there."""
    if place.is_socket() and _alive(place):
        raise SocketTaken(
            f"a bridge is running already and listens at {place}; stop it first,"
            " or give this one a place of its own: [http] socket"
        )
    listener = socket.socket(socket.AF_UNIX)
    draft = place.with_name(f".{secrets.token_hex(4)}.sock")
    try:
        with _short(draft) as short:
            listener.bind(short)
            try:
                Path(short).chmod(0o660)
                with suppress(KeyError, PermissionError):
                    os.chown(short, -1, grp.getgrnam(GROUP).gr_gid)
                listener.listen(BACKLOG)
                draft.rename(place)
            except BaseException:
                Path(short).unlink()
                raise
    except BaseException:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def listen_tcp(config: Config) -> list[socket.socket]:
    """Listen on TCP, if the configuration says where: at every address of a name.

    Raises:
        ConfigError: that is not possible.
    """
    if config.http.listen is None:
        return []
    host, port = config.http.address
    listeners: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            # By the protocol asyncio knows that it is TCP, and has an answer's parts sent without delay.
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            listener.setblocking(False)
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise config.error(
            ("http", "listen"), f"{config.http.listen} cannot be listened on: {error.strerror}"
        ) from None
    return listeners


def remove(place: Path) -> None:
    """Take the Unix socket away again once nobody listens at it."""
    with suppress(OSError):
        if not _alive(place):
            place.unlink()


def _alive(place: Path) -> bool:
    """Tell whether anybody listens at a socket."""
    with socket.socket(socket.AF_UNIX) as probe, _short(place) as short:
        probe.settimeout(1.0)
        try:
            probe.connect(short)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        return True


@contextmanager
def _short(place: Path) -> Generator[str]:
    """Give a name of a socket that fits into a socket's address, which holds 107 bytes."""
    folder = os.open(place.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{place.name}"
    finally:
        os.close(folder)


def tls(config: Config) -> ssl.SSLContext | None:
    """Return the server's side of TLS, if the configuration names a certificate.

    Raises:
        ConfigError: a file cannot be used.
    """
    certificate = config.http.cert_file
    if certificate is None:
        return None
    key = located(config.http.key_file, KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise config.error(
            ("http", "cert_file"),
            f"{certificate}{f' with {key}' if key else ''} cannot be used: {reason}",
        ) from None
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted")
