import io
import logging

import pytest
import structlog
from pydantic import BaseModel, SecretStr

from bridge.service import logs


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Key(BaseModel):
    key: str = "hunter2"


@pytest.fixture
def root():
    """The root logger, put back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield root
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def written(root):
    def written(*, verbose=False, stream=None):
        stream = stream or io.StringIO()
        logs.configure(verbose=verbose, stream=stream)
        return stream

    return written


def test_a_line_is_keys_and_values_where_nobody_watches(written):
    stream = written()
    structlog.get_logger().info("lock moved", lock_id="front_door", changed=True)
    line = stream.getvalue()
    assert line.endswith(' level=info event="lock moved" lock_id=front_door changed=true\n')
    assert line.startswith("timestamp=")


def test_a_line_is_for_people_on_a_terminal(written):
    stream = written(stream=Terminal())
    structlog.get_logger().info("lock moved")
    assert "lock moved" in stream.getvalue()
    assert "event=" not in stream.getvalue()


def test_what_libraries_log_goes_the_same_way(written):
    stream = written()
    logging.getLogger("library").warning("it is %s", "odd")
    assert 'level=warning event="it is odd"' in stream.getvalue()


def test_debug_lines_are_shown_on_demand_but_never_the_radios_traffic(written):
    stream = written()
    structlog.get_logger().debug("unseen")
    stream = written(verbose=True)
    structlog.get_logger().debug("seen")
    logging.getLogger("bleak.backends").debug("bytes")
    assert "seen" in stream.getvalue()
    assert "unseen" not in stream.getvalue()
    assert "bytes" not in stream.getvalue()


def test_what_is_posted_where_is_never_written(written):
    stream = written(verbose=True)
    logging.getLogger("httpx").info("HTTP Request: POST https://hooks.example/?token=hunter2")
    logging.getLogger("httpcore.http11").debug("webhook-signature: hunter2")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    "told",
    [
        {"password": "hunter2"},
        {"pin": "hunter2"},
        {"value": SecretStr("hunter2")},
        {"value": Key()},
        {"value": b"hunter2"},
    ],
)
@pytest.mark.parametrize("terminal", [True, False])
def test_no_secret_is_written(written, told, terminal):
    stream = written(stream=Terminal() if terminal else None)
    structlog.get_logger().info("something", **told)
    assert "something" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_traceback_shows_no_local_variables(written, terminal):
    stream = written(stream=Terminal() if terminal else None)
    code = "hun" + "ter2"
    try:
        int(code[3])
    except ValueError:
        structlog.get_logger().exception("it broke")
    assert "invalid literal" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_lines_go_to_standard_error_by_default(root, capsys):
    logs.configure()
    structlog.get_logger().info("hello")
    assert "event=hello" in capsys.readouterr().err
