"""Registering a reset Sesame ("1 Register"): it and the bridge agree on a secret.

The lock takes whoever comes first, and nothing proves to it or to us who the other is: it is only safe while nobody
else is near the reset lock. What proves the secret is that the lock answers over it afterwards.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

from drivers.base import PairingError
from drivers.sesame.channel import open_channel
from drivers.sesame.credential import SesameCredential, credential_of
from drivers.sesame.patience import STEP_TIMEOUT
from drivers.sesame.protocol.agreement import PUBLIC_BYTES, Agreement
from drivers.sesame.protocol.codes import Item, Result
from drivers.sesame.protocol.errors import ProtocolError, refusal
from drivers.sesame.protocol.mech import SETTING_BYTES, STATUS_BYTES
from drivers.waiting import within

if TYPE_CHECKING:
    from drivers.base import Link

GUIDE = (
    "Reset the lock first, in the Sesame app or as its manual says; it then forgets every key there is. To go on using "
    "the app as well, do not reset it, but bring the key that the app shares."
)
_REGISTERED = (
    "The lock is registered already, so it takes no other key. Bring the key that the Sesame app shares, or reset the "
    "lock and pair again."
)


async def register(link: Link) -> SesameCredential:
    """Register with the lock at the other end of the link.

    Raises:
        PairingError: with what to do next; `LinkLost`: the link is gone or the lock is mute.
    """
    channel = await open_channel(link)
    try:
        await channel.greeting()
        ours = Agreement()
        with within(STEP_TIMEOUT):
            await channel.send(Item.REGISTRATION, ours.public + struct.pack("<I", int(time.time())))
            answer = await channel.response(Item.REGISTRATION)
        if answer.result == Result.INVALID_ACTION:
            raise PairingError(_REGISTERED, vendor_code=answer.result)
        if not answer.succeeded:
            raise PairingError(
                f"{refusal(answer.result).message} Reset the lock and pair again.", vendor_code=answer.result
            )
        theirs = answer.data[STATUS_BYTES + SETTING_BYTES :][:PUBLIC_BYTES]
        return credential_of(ours.secret(theirs))
    except ProtocolError as error:
        raise PairingError("The lock's answer could not be understood. Reset the lock and pair again.") from error
    finally:
        await channel.aclose()
