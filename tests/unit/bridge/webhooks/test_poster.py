import ssl
from datetime import UTC, datetime

import anyio
import pytest
from seam import SeamWebhook

from bridge.webhooks import poster as poster_module
from bridge.webhooks.poster import HttpPoster
from bridge.webhooks.settings import Settings
from bridge.webhooks.signing import Signer
from bridge.wire import text
from tests.support.certificates import Authority
from tests.support.receiver import HttpReceiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNER = Signer.parse(SECRET)
EVENT = {
    "event_id": "11111111-2222-4333-8444-555555555555",
    "event_type": "lock.unlocked",
    "device_id": "Tür",
}
BODY = text.encode(EVENT)


def headers(at=None):
    return SIGNER.headers(EVENT["event_id"], at or datetime.now(UTC), BODY)


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def post(url, tls=None):
    async with HttpPoster.connect(Settings(url, SIGNER, tls)) as poster:
        return await poster.post(headers(), BODY)


async def test_a_post_is_what_seams_own_client_takes_for_genuine():
    async with HttpReceiver.listening() as receiver:
        assert (await post(receiver.url)).taken
    (taken,) = receiver.posts
    assert taken.target == "POST /hook HTTP/1.1"
    assert taken.headers["content-type"] == "application/json"
    verified = SeamWebhook(SECRET).verify(taken.body.decode(), taken.headers)
    assert verified.event_id == EVENT["event_id"]


async def test_what_was_changed_on_the_way_is_none_of_ours():
    async with HttpReceiver.listening() as receiver:
        await post(receiver.url)
    (taken,) = receiver.posts
    with pytest.raises(Exception, match="signature"):
        SeamWebhook(SECRET).verify(taken.body.decode().replace("unlocked", "locked"), taken.headers)


@pytest.mark.parametrize("host", ["xn--a", "xn--0.com", "a..b"])
async def test_a_host_that_cannot_be_is_trouble_with_the_post_and_nothing_else(host):
    posted = await post(f"http://{host}/")
    assert not posted.taken
    assert posted.trouble


async def test_a_redirect_is_not_followed():
    async with HttpReceiver.listening() as elsewhere, HttpReceiver.listening() as receiver:
        receiver.says = lambda _: (302, f"location: {elsewhere.url}\r\n")
        posted = await post(receiver.url)
    assert (posted.status, posted.taken) == (302, False)
    assert elsewhere.posts == []


@pytest.mark.parametrize(("said", "seconds"), [("120", 120.0), ("soon", None), ("-1", None), ("9" * 30, None)])
async def test_a_pause_that_is_asked_for_is_told(said, seconds):
    async with HttpReceiver.listening() as receiver:
        receiver.says = lambda _: (503, f"retry-after: {said}\r\n")
        posted = await post(receiver.url)
    assert (posted.status, posted.retry_after) == (503, seconds)


async def test_a_receiver_that_is_not_there_is_told_without_the_url():
    async with HttpReceiver.listening() as receiver:
        pass
    posted = await post(f"{receiver.url}?token=T0K3N")
    assert (posted.status, posted.trouble) == (None, "ConnectError")


async def test_a_receiver_that_dribbles_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(poster_module, "TIMEOUT", 0.2)

    async def dribble(stream):
        async with stream:
            await stream.receive()
            for byte in b"HTTP/1.1 200 " + b"x" * 1000:
                await stream.send(bytes([byte]))
                await anyio.sleep(0.05)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, dribble)
        with anyio.fail_after(20):  # all of it would take a minute
            posted = await post(f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}/")
        group.cancel_scope.cancel()
    assert (posted.status, posted.taken) == (None, False)


async def test_an_endless_answer_is_taken_by_its_status():
    async def flood(stream):
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
            while True:
                await stream.send(bytes(64 * 1024))

    async def serve(stream):
        try:
            await flood(stream)
        except anyio.BrokenResourceError:
            return

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        posted = await post(f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}/")
        group.cancel_scope.cancel()
    assert posted.taken


async def test_only_a_receiver_with_a_trusted_certificate_gets_anything(tmp_path):
    authority = Authority(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    async with HttpReceiver.listening(authority.serving()) as receiver:
        assert (await post(receiver.url, authority.trusting())).taken
        for stranger in (Authority(other).trusting(), ssl.create_default_context()):
            assert (await post(receiver.url, stranger)).status is None
    assert len(receiver.posts) == 1
