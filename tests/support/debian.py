"""Debian machines for tests: a bootstrapped system, booted with its own systemd in a container.

The base system is that of this machine's release or of another. It is made once by debootstrap and kept below the
user's cache. What a machine writes is in memory and gone with it. Needs root, and Debian's debootstrap and
systemd-container.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.checkout import ROOT

CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "lock-bridge-debian"
RELEASE = platform.freedesktop_os_release()
SUITE = RELEASE.get("VERSION_CODENAME", "sid")
DEBIAN_MIRROR = "http://deb.debian.org/debian"
UBUNTU_MIRROR = "http://archive.ubuntu.com/ubuntu"
PACKAGES = ("ca-certificates", "dbus", "python3-venv", "systemd")
"""What a fresh Debian or Raspberry Pi OS has of what the bridge needs, with python3-venv, which the README installs."""
PYTHON = "/usr/bin/python3"
GLIBC = 36
"""The minor version of glibc 2 on bookworm; later releases have later ones."""
BOOTED = 60.0
"""Seconds that a machine may take to boot."""
VIRTUAL_HOUSE = """\
[bridge]
id = "g1"
[mqtt]
url = "mqtt://127.0.0.1:1883"
[bluetooth]
radio = "virtual"
[[locks]]
id = "front_door"
driver = "nuki"
"""
"""A configuration for a machine without broker and without radio."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    told: str
    """What it wrote, standard error with standard output."""


class Machine:
    """A running machine."""

    def __init__(self, leader: int) -> None:
        self._leader = leader

    def run(self, *command: str, stdin: str = "", limit: float = 240, **env: str) -> Done:
        """Run a command as root, with these variables in its environment, and return how it ended."""
        inside = ["nsenter", f"--target={self._leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root"]
        usual = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        setting = (f"{name}={value}" for name, value in (usual | env).items())
        done = subprocess.run(
            [*inside, "env", "--chdir=/", "--ignore-environment", *setting, *command],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=limit,
            check=False,
        )
        return Done(done.returncode, done.stdout)

    def do(self, command: str) -> str:
        """Run a shell command that must succeed and return what it wrote."""
        done = self.run("sh", "-euc", command)
        assert done.code == 0, f"{command} exited with {done.code}:\n{done.told}"
        return done.told

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        """Write a file."""
        done = self.run("install", "-D", "-m", mode, "/dev/stdin", path, stdin=text)
        assert done.code == 0, done.told

    def files(self, *folders: str) -> set[str]:
        """Return every path below the folders that there are."""
        return set(self.do(f"find {' '.join(folders)} -xdev -mindepth 1 2>/dev/null || true").splitlines())


@contextmanager
def booted(
    folder: Path, shown: Mapping[Path, str], *, suite: str = SUITE, networked: bool = False
) -> Generator[Machine]:
    """Boot a machine.

    Args:
        folder: for what it tells while it boots.
        shown: folders of this machine that it can read, by where they are there.
        suite: its release.
        networked: whether it has this machine's network, loopback included, in place of none.
    """
    binds = [f"--bind-ro={here}:{there}" for here, there in shown.items()]
    options = ["--quiet", "--register=no", "--keep-unit", "--volatile=overlay", *binds]
    options += [] if networked else ["--private-network"]
    options += [f"--directory={base(suite)}", f"--machine=lock-bridge-{os.getpid()}"]
    with (
        (folder / "console").open("wb") as console,
        subprocess.Popen(
            ["systemd-nspawn", *options, "--boot"],
            env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
        ) as container,
    ):
        try:
            yield _up(container, folder / "console")
        finally:
            container.terminate()


def base(suite: str = SUITE) -> Path:
    """Return the folder of a base system, of this machine's release or one of Debian's, making it if need be."""
    folder = CACHE / f"{suite}-{'-'.join(PACKAGES)}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        making = folder.with_name(f".{folder.name}.{os.getpid()}")
        of_ubuntu = suite == SUITE and RELEASE["ID"] == "ubuntu"
        options = ["--variant=minbase", f"--components={'main,universe' if of_ubuntu else 'main'}"]
        mirror = UBUNTU_MIRROR if of_ubuntu else DEBIAN_MIRROR
        try:
            subprocess.run(
                ["debootstrap", *options, f"--include={','.join(PACKAGES)}", suite, making, mirror], check=True
            )
            making.rename(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return folder


def wheels() -> Path:
    """Return a folder with all that an installation takes from PyPI, for this machine's own Python; fetched once."""
    return _fetched(subprocess.run([PYTHON, "-VV"], capture_output=True, text=True, check=True).stdout, [])


def wheels_for(python: str, architecture: str) -> Path:
    """Return a folder with all that an installation takes from PyPI on another machine; fetched once.

    Args:
        python: its Python, as `3.13`.
        architecture: as its kernel names it.

    Raises:
        CalledProcessError: something that an installation takes has no wheel for it.
    """
    tags = ["manylinux2014", *(f"manylinux_2_{minor}" for minor in range(17, GLIBC + 1))]
    # Nothing is looked up beside the lock, for pip would ask for what its own Python needs.
    which = ["--no-deps", "--implementation=cp", f"--python-version={python}"]
    return _fetched(f"{python} {architecture}", [*which, *(f"--platform={tag}_{architecture}" for tag in tags)])


def _fetched(who: str, which: list[str]) -> Path:
    """Fetch wheels by the hashes of the lock, unless it was done for whom they are."""
    script = ROOT / "systemd" / "requirements.py"
    needed = subprocess.run(
        [sys.executable, script, ROOT / "pyproject.toml", ROOT / "requirements.lock"], capture_output=True, check=True
    ).stdout
    folder = CACHE / f"wheels-{hashlib.sha256(needed + who.encode()).hexdigest()[:16]}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=CACHE) as work:
            (Path(work) / "needed.txt").write_bytes(needed)
            subprocess.run([PYTHON, "-m", "venv", f"{work}/venv"], check=True)
            fetch = ["download", "--quiet", "--require-hashes", "--only-binary=:all:", f"--dest={work}/wheels", *which]
            subprocess.run([f"{work}/venv/bin/pip", *fetch, f"--requirement={work}/needed.txt"], check=True)
            (Path(work) / "wheels").rename(folder)
    return folder


def _up(container: subprocess.Popen[bytes], console: Path) -> Machine:
    """Wait until the machine has booted."""
    end = time.monotonic() + BOOTED
    children = Path(f"/proc/{container.pid}/task/{container.pid}/children")
    while time.monotonic() < end and container.poll() is None:
        if leaders := children.read_text().split():
            machine = Machine(int(leaders[0]))
            if machine.run("systemctl", "is-system-running", "--wait").told.strip() in {"running", "degraded"}:
                return machine
        time.sleep(0.05)
    raise AssertionError(f"the machine did not boot: {console.read_text(errors='replace')[-4000:]}")
