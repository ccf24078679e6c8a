"""Where the broker is, as a URL says it. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_FORMS = "mqtt://HOST, mqtts://HOST or unix:///PATH"


@dataclass(frozen=True, slots=True)
class Address:
    """A broker's address: a host and a port, or the path of a Unix socket."""

    host: str
    """Empty for a Unix socket."""
    port: int
    """0 for a Unix socket."""
    tls: bool = False
    path: str | None = None
    """The Unix socket."""

    @property
    def local(self) -> bool:
        """Whether what is sent there never leaves this machine, so far as its name says."""
        if self.path is not None or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse(url: str) -> Address:
    """Read a broker's URL.

    Raises:
        ValueError: it is no such URL; the message never repeats it, since people put passwords there.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"is no address; write {_FORMS}, with a port from 1 to 65535 if needed") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or a password; use username and password_file instead")
    if parts.scheme == "unix":
        if parts.netloc or not parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("must be unix:///PATH with the absolute path of the broker's socket")
        return Address("", 0, path=parts.path)
    if parts.scheme not in _PORTS:
        raise ValueError(f"must begin with mqtt://, mqtts:// or unix:///; write {_FORMS}")
    if not parts.hostname or port == 0 or any(character.isspace() for character in parts.netloc):
        raise ValueError(f"must name a host; write {_FORMS}")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"must end after the host and port; write {_FORMS}")
    return Address(parts.hostname, port or _PORTS[parts.scheme], tls=parts.scheme == "mqtts")
