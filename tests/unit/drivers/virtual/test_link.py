import anyio
import pytest

from drivers.base import Advertisement, LinkLost
from drivers.virtual.link import BACKLOG, TwinLink
from drivers.virtual.peripheral import AttError, Property

ADDRESS = "54:D2:72:00:00:01"
CHARACTERISTIC, OTHER = "0000aaaa-0000-1000-8000-00805f9b34fb", "0000bbbb-0000-1000-8000-00805f9b34fb"


class Echo:
    """A twin that notifies what is written to it."""

    address = ADDRESS
    gatt = {"service": {CHARACTERISTIC: frozenset({Property.WRITE, Property.NOTIFY})}}  # noqa: RUF012 - a fixed table

    def __init__(self):
        self.central = None
        self.written = []
        self.refuses = False

    def advertisement(self):
        return Advertisement(ADDRESS)

    def connected(self, central):
        if self.refuses:
            raise ConnectionRefusedError
        self.central = central

    def disconnected(self, central):
        assert central is self.central
        self.central = None

    def read(self, characteristic):
        if characteristic == OTHER:
            raise AttError(2)
        return b"value"

    def write(self, characteristic, data):
        if characteristic == OTHER:
            raise AttError(3)
        self.written.append(data)
        self.central.notify(characteristic, data)


@pytest.fixture
def twin():
    return Echo()


async def test_what_is_written_reaches_the_lock_and_its_answer_the_reader(twin):
    with TwinLink.connect(twin, mtu=100) as link:
        assert (link.address, link.mtu, link.is_open) == (ADDRESS, 100, True)
        assert link.has(CHARACTERISTIC)
        assert not link.has(OTHER)
        assert await link.read(CHARACTERISTIC) == b"value"
        async with link.subscribe(CHARACTERISTIC) as stream:
            await link.write(CHARACTERISTIC, b"hello")
            assert await stream.receive() == b"hello"
        await link.write(CHARACTERISTIC, b"unheard")
    assert twin.written == [b"hello", b"unheard"]
    assert twin.central is None


async def test_a_notification_reaches_only_those_who_subscribed_to_it(twin):
    with TwinLink.connect(twin) as link:
        async with link.subscribe(OTHER) as other, link.subscribe(CHARACTERISTIC) as stream:
            link.deliver(CHARACTERISTIC, b"x")
            assert stream.receive_nowait() == b"x"
            with pytest.raises(anyio.WouldBlock):
                other.receive_nowait()


async def test_a_lock_that_refuses_is_lost(twin):
    twin.refuses = True
    with pytest.raises(LinkLost), TwinLink.connect(twin):
        pass


async def test_a_refused_read_or_write_is_told(twin):
    with TwinLink.connect(twin) as link:
        with pytest.raises(LinkLost):
            await link.read(OTHER)
        with pytest.raises(LinkLost):
            await link.write(OTHER, b"")


async def test_once_dropped_everything_is_lost_and_streams_end(twin):
    with TwinLink.connect(twin) as link:
        async with link.subscribe(CHARACTERISTIC) as stream:
            link.drop()
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
        link.notify(CHARACTERISTIC, b"x")
        for call in (lambda: link.read(CHARACTERISTIC), lambda: link.write(CHARACTERISTIC, b"")):
            with pytest.raises(LinkLost):
                await call()
        with pytest.raises(LinkLost):
            link.has(CHARACTERISTIC)
        with pytest.raises(LinkLost):
            async with link.subscribe(CHARACTERISTIC):
                pass
        assert not link.is_open


@pytest.mark.parametrize(("response", "arrives"), [(True, True), (False, True)])
async def test_a_write_without_response_does_not_notice_the_end(twin, response, arrives):
    with TwinLink.connect(twin) as link:

        def drop_after(characteristic, data):
            yield data
            link.drop()

        link.on_write = drop_after
        if response:
            with pytest.raises(LinkLost):
                await link.write(CHARACTERISTIC, b"x", response=True)
        else:
            await link.write(CHARACTERISTIC, b"x", response=False)
    assert bool(twin.written) is arrives


async def test_a_link_that_ends_before_the_write_keeps_it_from_the_lock(twin):
    with TwinLink.connect(twin) as link:

        def drop_before(characteristic, data):
            link.drop()
            return [data]

        link.on_write = drop_before
        with pytest.raises(LinkLost):
            await link.write(CHARACTERISTIC, b"x")
    assert twin.written == []


async def test_what_is_notified_can_be_lost_or_doubled(twin):
    with TwinLink.connect(twin) as link:
        link.on_notify = lambda _, data: [data] * len(data)
        async with link.subscribe(CHARACTERISTIC) as stream:
            await link.write(CHARACTERISTIC, b"")
            await link.write(CHARACTERISTIC, b"xx")
            assert [stream.receive_nowait() for _ in range(2)] == [b"xx", b"xx"]


async def test_a_reader_that_is_too_slow_loses_the_link(twin):
    with TwinLink.connect(twin) as link:
        async with link.subscribe(CHARACTERISTIC):
            for _ in range(BACKLOG + 1):
                link.deliver(CHARACTERISTIC, b"x")
        assert not link.is_open
