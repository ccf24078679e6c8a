"""Carries out commands that come on a serial line of a machine of ./boot, each as soon as it comes, as root.

A line in: {"id": 1, "command": "a command of the shell's"}. A line out: {"id": 1, "code": 0, "out": "…", "err": "…"}.
The first line out, {"id": 0}, tells that commands can come. Runs without this project's environment.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import tty


def main(line: str) -> None:
    """Serve the line."""
    with open(line, "r+b", buffering=0) as device:  # noqa: PTH123 - a device, without a buffer
        tty.setraw(device)
        one_at_a_time = threading.Lock()

        def tell(**fields: object) -> None:
            with one_at_a_time:
                told = json.dumps(fields).encode() + b"\n"
                while told:
                    told = told[device.write(told) :]

        def carry_out(asked: dict[str, object]) -> None:
            done = subprocess.run(
                ["/bin/bash", "-c", str(asked["command"])],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            tell(id=asked["id"], code=done.returncode, out=done.stdout, err=done.stderr)

        tell(id=0)
        with open(line, "rb") as lines:  # noqa: PTH123 - as above
            for asked in lines:
                threading.Thread(target=carry_out, args=(json.loads(asked),), daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1])
