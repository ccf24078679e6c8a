import base64
from datetime import UTC, datetime

import pytest

from bridge.webhooks.signing import Signer

# The example of the Standard Webhooks specification's reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'


def test_the_specifications_example_is_signed_as_it_says():
    assert Signer.parse(SECRET).headers(ID, AT, BODY) == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("change", [{"event_id": "other"}, {"at": datetime.fromtimestamp(0, UTC)}, {"body": b"{}"}])
def test_what_is_signed_is_all_of_it(change):
    known = {"event_id": ID, "at": AT, "body": BODY}
    signer = Signer.parse(SECRET)
    assert signer.headers(**(known | change))["webhook-signature"] != signer.headers(**known)["webhook-signature"]


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not begin with"),
        ("whsec_not base64!", "not base64"),
        ("whsec_" + base64.b64encode(bytes(23)).decode(), "holds 23 bytes"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "holds 65 bytes"),
    ],
)
def test_what_is_no_secret_is_refused_without_repeating_it(secret, reason):
    with pytest.raises(ValueError, match=reason) as refused:
        Signer.parse(secret)
    assert secret not in str(refused.value)


@pytest.mark.parametrize("size", [24, 64])
def test_a_secret_is_as_long_as_the_specification_lets_it(size):
    assert Signer.parse("whsec_" + base64.b64encode(bytes(size)).decode())


def test_a_signer_does_not_show_its_secret():
    assert "MfKQ" not in repr(Signer.parse(SECRET))
