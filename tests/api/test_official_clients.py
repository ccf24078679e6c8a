"""Seam's own clients, unchanged, against a real daemon: the Python one of today, an old one, and the JavaScript one.

Each runs as a process of its own (`clients/python_client.py`, `js/client.mjs`), with nothing but an endpoint and a key.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import javascript
from tests.support.api import FRONT

pytestmark = pytest.mark.timeout(180)

HERE = Path(__file__).parent
OLD_LOCK = HERE / "clients" / "seam-1.29.txt"
OLD = Path(sys.prefix) / "share" / "lock-bridge" / "seam-1.29"


def install_old() -> None:
    """Install the old client beside the environment, unless that is done."""
    done = OLD / ".installed-from"
    if not done.exists() or done.read_bytes() != OLD_LOCK.read_bytes():
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-compile",
            "--no-deps",
            "--require-hashes",
            "--upgrade",
            "--target",
            OLD,
        ]
        ended = subprocess.run([*pip, "-r", OLD_LOCK], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        done.write_bytes(OLD_LOCK.read_bytes())


def python(*parts, **environ):
    return subprocess.run(
        [sys.executable, HERE / "clients" / "python_client.py", *parts],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
        timeout=90,
    ).stdout


@pytest.fixture(scope="module", params=["python 3", "python 1.29", "javascript"])
def client(request, gateway, key):
    """Run parts of a program that uses the client, and return what came of them."""
    environ = {"SEAM_ENDPOINT": f"http://127.0.0.1:{gateway.port}", "SEAM_API_KEY": key}
    if request.param == "javascript":
        javascript.install()
    elif request.param == "python 1.29":
        install_old()
        environ["PYTHONPATH"] = str(OLD)

    def run(*parts):
        if request.param == "javascript":
            return json.loads(javascript.node("client.mjs", *parts, environ=environ))
        return json.loads(python(*parts, **environ))

    run.name = request.param
    return run


@pytest.fixture(scope="module")
def done(client):
    """What came of all that a healthy house is asked."""
    return client("operating", "listing", "late", "refused")


def test_doors_are_locked_and_unlocked_waiting_and_polling(done):
    assert done["operating"] == {
        "unlocked": ["UNLOCK_DOOR", "success", False],
        "locked": ["LOCK_DOOR", "success", False],
        "pending": "pending",
        "polled": ["success", True],
        "resolved": "success",
        "lock": [True, False, True],
    }


def test_lists_pages_and_events_are_understood(done, client):
    found = {
        "locks": True,
        "two": 2,
        "named": True,
        "none": True,
        "events": True,
        "between": 0,
        "event": True,
        "workspace": True,
        "pages": [True, True, True],
    }
    if client.name == "python 1.29":
        del found["pages"]  # it knows of none
    assert done["listing"] == found


def test_a_client_that_waits_too_little_is_told_by_its_time_out(done):
    assert done["late"]["error"] == "SeamActionAttemptTimeoutError"


@pytest.mark.parametrize(
    ("asked", "error", "code", "status", "field"),
    [
        ("key", "SeamHttpUnauthorizedError", "unauthorized", 401, None),
        ("device", "SeamHttpApiError", "device_not_found", 404, None),
        ("attempt", "SeamHttpApiError", "action_attempt_not_found", 404, None),
        ("input", "SeamHttpInvalidInputError", "invalid_input", 400, "device_id"),
        ("time", "SeamHttpInvalidInputError", "invalid_input", 400, "since"),
    ],
)
def test_an_error_is_the_one_that_the_client_has_for_it(*, done, client, asked, error, code, status, field):
    told = done["refused"][asked]
    assert (told["error"], told["code"], told["status"], told["request_id"]) == (error, code, status, True)
    if client.name != "python 1.29":  # it tells of no field
        assert told.get("validation") == (None if field is None else [field])


def test_a_jam_is_the_failure_of_the_attempt(client, here):
    assert here.post(f"/bridge/sandbox/{FRONT}/jam", json={}).status_code == 200
    try:
        told = client("failing")["failing"]
    finally:
        here.post(f"/bridge/sandbox/{FRONT}/clear", json={})
    assert (told["caught"]["error"], told["caught"]["code"]) == ("SeamActionAttemptFailedError", "lock_jammed")
    assert told["attempt"] == ["error", "lock_jammed", True]
