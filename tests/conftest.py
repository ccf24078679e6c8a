"""What every test runs under."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

FIGURES = pytest.StashKey[dict[str, dict[str, object]]]()

# The same examples in every run but the long one, so that a failure is a change's own.
settings.register_profile("repeatable", derandomize=not os.environ.get("LOCK_BRIDGE_LONG"))
settings.load_profile("repeatable")

# Where a shell runs the tests in the background, Ctrl-C is ignored, and every program that a test starts inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def figures(request) -> dict[str, object]:
    """Takes what a test counted, by name, also of a test that then fails; a table of it closes the run."""
    return request.config.stash.setdefault(FIGURES, {}).setdefault(request.node.nodeid, {})


def pytest_terminal_summary(terminalreporter, config):
    told = {nodeid: figures for nodeid, figures in config.stash.get(FIGURES, {}).items() if figures}
    if told:
        terminalreporter.section("figures")
    for nodeid, figures in told.items():
        terminalreporter.write_line(nodeid)
        for name, figure in figures.items():
            terminalreporter.write_line(f"  {name:<40}{figure:>16}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """Where nothing may be skipped, a run that skipped something has failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if os.environ.get("LOCK_BRIDGE_SKIP_NOTHING") and skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        for report in skipped:
            reporter.write_line(f"skipped, and nothing may be: {report.nodeid}: {report.longrepr[-1]}", red=True)
