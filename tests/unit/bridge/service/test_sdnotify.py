"""The service manager is told over its socket."""

import socket

import pytest

from bridge.service.sdnotify import listens, notify, tell


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """The receiving end, as systemd holds it."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield receiver


def test_the_manager_is_told(manager):
    notify("READY=1")
    assert manager.recv(64) == b"READY=1"


def test_a_manager_behind_an_abstract_address_is_told(tmp_path, monkeypatch):
    name = f"lock-bridge-test{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name}")
        receiver.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notify("WATCHDOG=1")
        assert receiver.recv(64) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", [None, ""])
def test_without_a_manager_nothing_is_done(address, monkeypatch):
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.setattr(socket, "socket", lambda *_: pytest.fail("a socket was opened"))
    notify("READY=1")


def test_a_manager_that_is_gone_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    with pytest.raises(OSError, match="No such file"):
        notify("READY=1")


def test_what_may_be_missed_is_told_without_waiting_for_a_busy_manager(tmp_path, monkeypatch):
    address = str(tmp_path / "busy")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert tell("STATUS=1")
        while tell("STATUS=more"):
            pass
        assert receiver.recv(64) == b"STATUS=1"
        assert tell("STATUS=there is room again")


def test_what_may_be_missed_is_missed_by_a_manager_that_is_gone(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert not tell("STATUS=1")


def test_whether_there_is_a_manager_is_known(monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "@somebody")
    assert listens()
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert not listens()
