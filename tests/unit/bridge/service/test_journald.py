"""What journald is sent, read as its protocol says, and what is done when it takes nothing."""

from __future__ import annotations

import io
import logging
import os
import socket
import struct

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from bridge.service import journald, logs


def read(datagram: bytes) -> dict[str, str]:
    """Read an entry as journald does."""
    fields = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", rest[:8])
            value, end, rest = rest[8 : 8 + size], rest[8 + size : 9 + size], rest[9 + size :]
            assert end == b"\n"
        fields[name.decode()] = value.decode()
        datagram = rest
    return fields


@pytest.fixture
def daemon(tmp_path):
    """The end that journald holds."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "socket"))
        receiver.settimeout(5)
        yield receiver


@pytest.fixture
def stream(tmp_path, monkeypatch):
    """Standard error as systemd connects it to journald."""
    with (tmp_path / "stderr").open("w+") as stream:
        about = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{about.st_dev}:{about.st_ino}")
        monkeypatch.setattr(journald, "SOCKET", tmp_path / "socket")
        yield stream


@pytest.fixture
def logging_to(stream, tmp_path, monkeypatch):
    root = logging.getLogger()
    before, level = root.handlers, root.level
    monkeypatch.setattr(journald.JournaldHandler.__init__, "__defaults__", (tmp_path / "socket",))
    logs.configure(stream=stream)
    yield stream
    root.handlers[0].close()
    root.handlers, root.level = before, level
    structlog.reset_defaults()


def test_every_value_is_a_field(daemon, logging_to):
    structlog.get_logger("bridge.worker").info(
        "attempt ended", lock_id="front_door", action_attempt_id="5f4e", code=None
    )
    fields = read(daemon.recv(4096))
    assert fields["MESSAGE"] == "attempt ended lock_id=front_door action_attempt_id=5f4e code="
    assert (fields["LOCK_ID"], fields["ACTION_ATTEMPT_ID"]) == ("front_door", "5f4e")
    assert (fields["PRIORITY"], fields["SYSLOG_IDENTIFIER"]) == ("6", "lock-bridge")
    assert "CODE" not in fields


def test_a_secret_is_hidden_in_message_and_field(daemon, logging_to):
    structlog.get_logger().warning("odd", pin=424242)
    sent = daemon.recv(4096)
    assert b"424242" not in sent
    assert read(sent)["PRIORITY"] == "4"


def test_a_traceback_is_part_of_the_message(daemon, logging_to):
    try:
        int("no number")
    except ValueError:
        structlog.get_logger().exception("broken")
    fields = read(daemon.recv(65536))
    assert fields["MESSAGE"].startswith("broken\nTraceback")
    assert fields["PRIORITY"] == "3"


def test_what_libraries_log_is_sent_too(daemon, logging_to):
    logging.getLogger("library").error("it is %s", "odd")
    fields = read(daemon.recv(4096))
    assert (fields["MESSAGE"], fields["LOGGER"]) == ("it is odd", "library")


def test_what_journald_does_not_take_goes_to_standard_error(logging_to):
    structlog.get_logger().info("nobody listens", lock_id="front_door")
    logging_to.seek(0)
    assert logging_to.read() == "nobody listens lock_id=front_door\n"


@pytest.mark.parametrize("variable", [None, "", "1:1"])
def test_another_stream_is_not_journalds(stream, monkeypatch, variable):
    assert journald.reads(stream)
    if variable is None:
        monkeypatch.delenv("JOURNAL_STREAM")
    else:
        monkeypatch.setenv("JOURNAL_STREAM", variable)
    assert not journald.reads(stream)
    assert not journald.reads(io.StringIO())


@given(st.text(), st.dictionaries(st.text(), st.one_of(st.none(), st.text(), st.integers())))
def test_no_value_can_make_up_a_field_or_begin_one_of_journalds_own(message, values):
    fields = read(journald.entry(message, logging.DEBUG, "bridge", values))
    known = {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "LOGGER"}
    assert fields.keys() >= known
    assert len(fields) <= len(known) + len(values)
    for name in fields.keys() - known:
        assert name.isascii()
        assert name[0].isalpha()
        assert name == name.upper()
