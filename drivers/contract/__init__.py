"""The suite that every driver passes against its own virtual lock; it needs pytest.

A driver's tests, in this project or in one of its own:

    from drivers.contract import DriverContract

    class TestAcme(DriverContract):
        driver = AcmeDriver()

A driver whose locks differ by their options runs it on each kind, with `options = AcmeOptions(...)` in the class.

It runs under trio's virtual clock, over a link in the same process. `reach` and `anyio_backend` are fixtures: a test
class that gives others runs the same suite over another radio, in real time.
"""

from drivers.contract.suite import DriverContract

__all__ = ["DriverContract"]
