"""Whom a virtual Nuki lock knows: its own key pair and the authorizations that it gave."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drivers.nuki.protocol.codes import AuthorizationType
from drivers.nuki.protocol.crypto import CHALLENGE_BYTES, KEY_BYTES, KeyPair

if TYPE_CHECKING:
    from collections.abc import Callable

UUID_BYTES = 16
FIRST_AUTH_ID = 0x0001_0001


@dataclass(slots=True)
class Authorization:
    """One who may use the lock."""

    auth_id: int
    key: bytes = field(repr=False)
    """The 32-byte shared key."""
    name: str
    kind: int
    """An `AuthorizationType`."""
    app_id: int
    enabled: bool = True
    challenge: bytes | None = field(default=None, repr=False)
    """The nonce that the lock gave it last and that was not used yet."""


class Keyring:
    """The lock's keys and users."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        """Begin with a fresh identity and a fob as the only user."""
        self.random = random
        self.identity = KeyPair.from_private(random(KEY_BYTES))
        self.uuid = random(UUID_BYTES)
        self.users: dict[int, Authorization] = {}
        self._next_id = FIRST_AUTH_ID
        self.fob = self.create(random(KEY_BYTES), "Fob", AuthorizationType.FOB, 0)
        self.store(self.fob)

    def create(self, key: bytes, name: str, kind: int, app_id: int) -> Authorization:
        """Make an authorization, which counts once it is stored."""
        made = Authorization(self._next_id, key, name, kind, app_id)
        self._next_id += 1
        return made

    def store(self, authorization: Authorization) -> None:
        """Take up an authorization; a bridge evicts the one that was there."""
        if authorization.kind == AuthorizationType.BRIDGE:
            kept = self.users.items()
            self.users = {auth_id: user for auth_id, user in kept if user.kind != AuthorizationType.BRIDGE}
        self.users[authorization.auth_id] = authorization

    def remove(self, auth_id: int) -> None:
        """Take an authorization away, if there is such a one."""
        self.users.pop(auth_id, None)

    def key_of(self, auth_id: int) -> bytes | None:
        """Return the user's shared key."""
        user = self.users.get(auth_id)
        return user.key if user else None

    def challenge(self, user: Authorization) -> bytes:
        """Give the user a nonce, good for one use; an earlier one is void."""
        user.challenge = self.random(CHALLENGE_BYTES)
        return user.challenge

    def redeem(self, user: Authorization, nonce: bytes) -> bool:
        """Tell whether the nonce is the user's last one, which is void from now on."""
        given, user.challenge = user.challenge, None
        return given is not None and hmac.compare_digest(given, nonce)
