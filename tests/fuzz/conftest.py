import pytest

from tests.support.fuzzing import LONG


def pytest_collection_modifyitems(items):
    """A long run takes the time that it takes."""
    if LONG:
        for item in items:
            if "tests/fuzz/" in item.path.as_posix():
                item.add_marker(pytest.mark.timeout(0), append=False)  # before a test's own
