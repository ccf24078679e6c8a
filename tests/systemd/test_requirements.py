"""What an installation takes of requirements.lock."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.checkout import ROOT

SCRIPT = ROOT / "systemd" / "requirements.py"
PROJECT = """\
[project]
name = "lock-bridge"
dependencies = ["Some_Thing>=1"]
[project.optional-dependencies]
demo = ["broker>=2; python_version > '3'"]
all = ["lock-bridge[demo]"]
"""
LOCK = """\
broker==2.0 \\
    --hash=sha256:bb
    # via lock-bridge (pyproject.toml:extra)
deep==1.0 \\
    --hash=sha256:dd
    # via
    #   tester
    #   some-thing
deepest==1.0 ; sys_platform == 'linux' \\
    --hash=sha256:de
    # via deep
setuptools==84.0 \\
    --hash=sha256:55
    # via lock-bridge (pyproject.toml:dev)
some-thing==1.5 \\
    --hash=sha256:51
    # via lock-bridge (pyproject.toml)
tester==3.0 \\
    --hash=sha256:7e
    # via lock-bridge (pyproject.toml:dev)
tester-help==3.0 \\
    --hash=sha256:7f
    # via tester
"""


def select(tmp_path, project, lock):
    (tmp_path / "pyproject.toml").write_text(project)
    (tmp_path / "requirements.lock").write_text(lock)
    return subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "pyproject.toml", tmp_path / "requirements.lock"],
        capture_output=True,
        text=True,
        check=False,
    )


def names(lock):
    return {line.split("==")[0] for line in lock.splitlines() if "==" in line and not line.startswith(" ")}


def test_what_the_bridge_and_its_extras_need_is_taken_whole_and_the_rest_is_not(tmp_path):
    done = select(tmp_path, PROJECT, LOCK)
    assert names(done.stdout) == {"broker", "deep", "deepest", "setuptools", "some-thing"}
    assert "deepest==1.0 ; sys_platform == 'linux' \\\n    --hash=sha256:de\n" in done.stdout


def test_a_lock_that_is_older_than_the_project_is_told(tmp_path):
    done = select(tmp_path, PROJECT.replace("Some_Thing", "other"), LOCK)
    assert done.returncode == 1
    assert "does not have other" in done.stderr


@pytest.mark.parametrize(
    ("name", "wanted"), [("bleak", True), ("pydantic-core", True), ("pytest", False), ("mypy", False)]
)
def test_the_projects_own_lock_is_divided_so(name, wanted):
    done = select_own()
    assert (name in names(done)) is wanted


def select_own():
    return subprocess.run(
        [sys.executable, SCRIPT, ROOT / "pyproject.toml", ROOT / "requirements.lock"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
