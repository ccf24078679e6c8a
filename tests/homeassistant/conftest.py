"""Home Assistant in an environment of its own: it pins every package that it needs, and none of ours."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
PYTHON = "python3.11"


@pytest.fixture(scope="session")
def home_assistant():
    """Return what asks Home Assistant about discoveries; see `checker`."""
    interpreter = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which(PYTHON)
    if interpreter is None:
        pytest.skip(f"Home Assistant is pinned for {PYTHON}, which is not installed")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lock-bridge-homeassistant"
    return partial(_ask, _environment(cache, interpreter))


def _environment(cache: Path, interpreter: str) -> Path:
    """Return the Python of the environment, which is made once for each version of the requirements."""
    mark = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    home = cache / mark
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            shutil.rmtree(home, ignore_errors=True)
            run = partial(subprocess.run, check=True, stdin=subprocess.DEVNULL)
            run([interpreter, "-m", "venv", "--without-pip", str(home)])
            pip = [sys.executable, "-m", "pip", "--python", str(home / "bin/python"), "install", "--quiet"]
            run([*pip, "--no-deps", "-r", str(REQUIREMENTS)])
            (home / "complete").touch()
    return home / "bin/python"


def _ask(python: Path, questions: list[dict[str, object]]) -> list[dict[str, object]]:
    run = subprocess.run(
        [python, str(HERE / "checker.py")], input=json.dumps(questions), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
