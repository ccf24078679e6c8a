"""The key agreement of registration ("1 Register"): ECDH on P-256, whose first 16 bytes are the lock's secret."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from drivers.sesame.protocol.crypto import SECRET_BYTES
from drivers.sesame.protocol.errors import ProtocolError

PUBLIC_BYTES = 64
"""The coordinates of a point, without the byte that says so."""
_UNCOMPRESSED = b"\x04"


class Agreement:
    """One side of it, with a new key pair."""

    def __init__(self) -> None:
        """Make the key pair."""
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public(self) -> bytes:
        """What the other side is sent, 64 bytes."""
        return self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]

    def secret(self, theirs: bytes) -> bytes:
        """Return the lock's secret, 16 bytes.

        Raises:
            ProtocolError: the other side's public key is no point of the curve.
        """
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _UNCOMPRESSED + theirs)
        except ValueError as error:
            raise ProtocolError("The lock sent an unusable public key.") from error
        return self._key.exchange(ec.ECDH(), point)[:SECRET_BYTES]
