"""What is signed, and which signatures are good."""

from __future__ import annotations

import base64
import contextlib
import re
import subprocess

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import assume, example, given
from hypothesis import strategies as st

from bridge.errors import Code, Refused
from bridge.keys.signing import PATTERN, Signature, Signers, SigningKey, private_pem, public_key, signed_text, split
from tests.support.clock import NOON

SEED = bytes(range(32))
PUBLIC = load_pem_private_key(private_pem(SEED).encode(), None).public_key().public_bytes_raw()
LINES = {
    "key_id": "1f0c9a3e",
    "bridge_id": "g1",
    "lock_id": "front_door",
    "action": "unlock",
    "custom_id": "req_1",
    "expires_at": "2026-01-31T12:00:20Z",
}


def ed25519(**fields):
    known = {"id": "1f0c9a3e", "name": "panel", "algorithm": "ed25519", "created_at": NOON, "key": PUBLIC.hex()}
    return SigningKey(**(known | fields))


def value_of(text):
    return load_pem_private_key(private_pem(SEED).encode(), None).sign(text)


def refusal_of(signers, signature, lock_id="front_door", action="unlock"):
    with pytest.raises(Refused) as caught:
        signers.check(signature, lock_id, action)
    assert caught.value.code is Code.SIGNATURE_INVALID
    return caught.value.message


class TestText:
    def test_it_is_the_lines_that_clients_are_told_of(self):
        assert signed_text(**LINES) == (
            b"lock-bridge-command-v1\n1f0c9a3e\ng1\nfront_door\nunlock\nreq_1\n2026-01-31T12:00:20Z\n"
        )

    @pytest.mark.parametrize("part", LINES)
    def test_no_part_may_hold_a_line_feed(self, part):
        with pytest.raises(ValueError, match="line feed"):
            signed_text(**LINES | {part: "a\nb"})

    @given(
        st.fixed_dictionaries({part: st.text(max_size=12) for part in LINES}),
        st.fixed_dictionaries({part: st.text(max_size=12) for part in LINES}),
    )
    @example(
        {**LINES, "action": "unlock", "custom_id": "a b"},
        {**LINES, "action": "unlock a", "custom_id": "b"},
    )
    @example({**LINES, "lock_id": "a", "action": "\rb"}, {**LINES, "lock_id": "a\r", "action": "b"})
    def test_two_different_commands_never_have_the_same_text(self, one, other):
        assume(one != other)
        texts = []
        for parts in (one, other):
            try:
                texts.append(signed_text(**parts))
            except ValueError:
                assert any("\n" in part for part in parts.values())
                return
        assert texts[0] != texts[1]

    @given(st.data())
    def test_moving_letters_from_one_part_to_the_next_makes_another_text(self, data):
        """Where parts were joined plainly, these would be the same."""
        parts = list(LINES)
        place = data.draw(st.integers(0, len(parts) - 2))
        left, right = LINES[parts[place]], LINES[parts[place + 1]]
        cut = data.draw(st.integers(0, len(left) - 1))
        moved = LINES | {parts[place]: left[:cut], parts[place + 1]: left[cut:] + right}
        assert signed_text(**moved) != signed_text(**LINES)


class TestForm:
    def test_a_signature_names_its_key(self):
        encoded = base64.b64encode(bytes(64)).decode()
        assert split(f"1f0c9a3e:{encoded}") == ("1f0c9a3e", bytes(64))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "1f0c9a3e",
            "1f0c9a3e:",
            f"1F0C9A3E:{'A' * 86}==",
            f"1f0c9a3e:{'A' * 39}",
            f"1f0c9a3e:{'A' * 86}===",
            f"1f0c9a3e:{'A' * 85}==",
            f"1f0c9a3e:{'_' * 86}==",
            f"1f0c9a3e:{'A' * 86}==\n",
            f"{chr(0x661)}f0c9a3e:{'A' * 86}==",
        ],
    )
    def test_anything_else_is_refused(self, text):
        with pytest.raises(ValueError, match="a key's id, a colon and a signature"):
            split(text)

    @given(st.sampled_from([32, 64]).flatmap(lambda length: st.binary(min_size=length, max_size=length)))
    def test_what_the_documents_tell_of_is_what_is_read(self, value):
        text = f"1f0c9a3e:{base64.b64encode(value).decode()}"
        assert re.search(PATTERN, text)
        assert split(text) == ("1f0c9a3e", value)

    @given(st.one_of(st.text(max_size=120), st.from_regex(PATTERN)))
    def test_whatever_is_sent_is_read_or_refused(self, text):
        with contextlib.suppress(ValueError):
            assert split(text)[0] == text[:8]


class TestCheck:
    signers = Signers("g1", {"1f0c9a3e": ed25519()})

    def signature(self, **fields):
        lines = LINES | fields
        return Signature("1f0c9a3e", value_of(signed_text(**lines)), LINES["custom_id"], LINES["expires_at"])

    def test_a_signature_of_all_of_it_is_good(self):
        self.signers.check(self.signature(), "front_door", "unlock")

    @pytest.mark.parametrize("part", LINES)
    def test_a_signature_of_anything_else_is_not(self, part):
        assert "not one of this command" in refusal_of(self.signers, self.signature(**{part: "other"}))

    def test_it_is_for_this_lock_and_this_action(self):
        assert "not one of this command" in refusal_of(self.signers, self.signature(), lock_id="back_door")
        assert "not one of this command" in refusal_of(self.signers, self.signature(), action="unlatch")

    def test_it_is_for_no_other_bridge_even_with_the_same_key(self):
        assert refusal_of(Signers("g2", self.signers.keys), self.signature())
        elsewhere = Signers("g1", {"0badcafe": ed25519(id="0badcafe")})
        assert "There is no signing key 1f0c9a3e" in refusal_of(elsewhere, self.signature())
        retold = Signature("0badcafe", self.signature().value, LINES["custom_id"], LINES["expires_at"])
        assert "not one of this command" in refusal_of(elsewhere, retold)

    def test_a_key_is_for_its_locks(self):
        signers = Signers("g1", {"1f0c9a3e": ed25519(locks=frozenset({"back_door"}))})
        assert "not for this lock" in refusal_of(signers, self.signature())

    def test_without_keys_nothing_is_good(self):
        assert refusal_of(Signers(), self.signature())

    def test_the_key_says_by_which_algorithm_and_never_the_command(self):
        """A public key is no secret: as that of an HMAC it would be anybody's."""
        import hashlib
        import hmac

        forged = hmac.digest(PUBLIC, signed_text(**LINES), hashlib.sha256)
        signature = Signature("1f0c9a3e", forged, LINES["custom_id"], LINES["expires_at"])
        assert refusal_of(self.signers, signature)
        symmetric = Signers("g1", {"1f0c9a3e": ed25519(algorithm="hmac-sha256")})
        symmetric.check(signature, "front_door", "unlock")
        assert refusal_of(symmetric, self.signature())

    @pytest.mark.parametrize("length", [0, 32, 63, 65])
    def test_a_signature_of_another_length_is_not_good(self, length):
        assert refusal_of(self.signers, Signature("1f0c9a3e", bytes(length), "a", "b"))

    @pytest.mark.parametrize("bit", [0, 255, 256, 511])
    def test_a_single_bit_makes_it_another_one(self, bit):
        good = self.signature()
        value = bytearray(good.value)
        value[bit // 8] ^= 1 << bit % 8
        assert refusal_of(self.signers, Signature(good.key_id, bytes(value), good.custom_id, good.expires_at))

    def test_neither_key_nor_signature_is_shown(self):
        symmetric = ed25519(algorithm="hmac-sha256", key="5e" * 32)
        signature = self.signature()
        shown = f"{symmetric!r} {Signers('g1', {'1f0c9a3e': symmetric})!r} {signature!r}"
        assert "5e5e" not in shown
        assert repr(signature.value)[2:-1] not in shown


class TestKeys:
    def test_a_private_key_is_one_that_openssl_reads(self, tmp_path):
        (tmp_path / "key.pem").write_text(private_pem(SEED))
        shown = subprocess.run(
            ["openssl", "pkey", "-in", tmp_path / "key.pem", "-pubout"], capture_output=True, check=True
        )
        assert public_key(shown.stdout.decode()) == PUBLIC

    @pytest.mark.parametrize(
        "text",
        [
            "",
            private_pem(SEED),
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "-----BEGIN PUBLIC KEY-----\nA\n-----END PUBLIC KEY-----\n",
            "-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(bytes(44)).decode() + "\n-----END PUBLIC KEY-----\n",
        ],
    )
    def test_what_is_no_public_key_of_this_kind_is_refused(self, text):
        with pytest.raises(ValueError, match="no Ed25519 public key"):
            public_key(text)
