"""Reaching a broker: name lookup, TCP or Unix socket, TLS, without blocking the loop.

The socket is plain and non-blocking, for paho to read and write. Only the name lookup uses a thread.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from typing import TYPE_CHECKING

import anyio

from bridge.mqtt.broker import BrokerUnreachable

if TYPE_CHECKING:
    from bridge.mqtt.broker import Settings


async def dial(settings: Settings) -> socket.socket:
    """Return a connected, non-blocking socket to the broker, after the TLS handshake if there is TLS.

    Raises:
        BrokerUnreachable: and why, in a few words; a certificate's problem is named.
    """
    try:
        sock = await _connect_unix(settings.unix_path) if settings.unix_path else await _connect_tcp(settings)
    except OSError as error:
        raise BrokerUnreachable(error.strerror or str(error)) from error
    if settings.tls is None:
        return sock
    try:
        return await _secure(sock, settings.tls, settings.host)
    except ssl.SSLCertVerificationError as error:
        raise BrokerUnreachable(f"the broker's certificate is not accepted: {error.verify_message}") from error
    except OSError as error:  # ssl.SSLError is one
        raise BrokerUnreachable(f"no TLS: {error.strerror or error}") from error


async def _connect_unix(path: str) -> socket.socket:
    return await _connected(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path)


async def _connect_tcp(settings: Settings) -> socket.socket:
    """Try each address of the name in turn; each gets its share of the time, so that a dead one cannot take all."""
    found = await anyio.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    if settings.loopback_only:
        found = [each for each in found if ipaddress.ip_address(each[4][0]).is_loopback]
        if not found:
            raise OSError(f"{settings.host} is another machine, where nothing is sent in clear; use mqtts://")
    share = max(0.0, anyio.current_effective_deadline() - anyio.current_time()) / len(found)
    failure: OSError = OSError("the name has no address")
    for family, kind, protocol, _, address in found:
        try:
            with anyio.fail_after(share):
                sock = await _connected(socket.socket(family, kind, protocol), address)
        except OSError as error:  # TimeoutError is one
            failure = error
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a reply must not wait for an ACK
            return sock
    raise failure


async def _connected(sock: socket.socket, address: tuple[str, int] | str) -> socket.socket:
    try:
        sock.setblocking(False)
        try:
            sock.connect(address)
        except BlockingIOError:
            await anyio.wait_writable(sock)
            if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, os.strerror(code)) from None
            sock.getpeername()  # a Unix socket whose listener is too busy is writable, yet not connected
    except BaseException:
        sock.close()
        raise
    return sock


async def _secure(plain: socket.socket, tls: ssl.SSLContext, host: str) -> socket.socket:
    sock = plain
    try:
        sock = secured = tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        while True:
            try:
                secured.do_handshake()
            except ssl.SSLWantReadError:
                await anyio.wait_readable(secured)
            except ssl.SSLWantWriteError:
                await anyio.wait_writable(secured)
            else:
                return secured
    except BaseException:
        sock.close()
        raise
