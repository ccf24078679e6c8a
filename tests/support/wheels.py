"""What an installed bridge needs, as files, for machines without network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOWNLOADING = 300.0
"""Seconds that the network has for it."""


def download(folder: Path) -> None:
    """Fetch what an installed bridge needs, as wheels for this machine's own Python, by the hashes in the lock."""
    needed = folder / "needed.txt"
    script = [sys.executable, ROOT / "systemd/requirements.py", ROOT / "pyproject.toml", ROOT / "requirements.lock"]
    needed.write_bytes(subprocess.run(script, check=True, stdout=subprocess.PIPE, timeout=DOWNLOADING).stdout)
    tell = "import sys; print(*sys.version_info[:2], sep='.')"
    python = subprocess.run(["/usr/bin/python3", "-c", tell], check=True, stdout=subprocess.PIPE, text=True, timeout=20)
    pip = [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", "download", "--require-hashes"]
    pip += [
        "--only-binary=:all:",
        f"--python-version={python.stdout.strip()}",
        f"--dest={folder}",
        f"--requirement={needed}",
    ]
    subprocess.run(pip, check=True, timeout=DOWNLOADING)
