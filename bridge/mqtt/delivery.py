"""A message on its way to the broker, for whoever wants to know how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.mqtt.broker import PublishRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.reasoncodes import ReasonCode

    from bridge.mqtt.broker import ConnectionLost
    from bridge.mqtt.window import Request


class Delivery:
    """One message that was handed to a connection; it is sent whether or not anybody waits."""

    def __init__(
        self,
        request: Request[ReasonCode] | None,
        lost: Callable[[], ConnectionLost],
        refusal: PublishRefused | None = None,
    ) -> None:
        """Take the request that the PUBACK finishes; none if the message is refused before it is sent."""
        self.refusal = refusal
        """Why it was not taken, once that is known."""
        self._request = request
        self._lost = lost

    @property
    def finished(self) -> bool:
        """Whether `taken` would return, or raise, at once."""
        return self._request is None or self._request.finished

    async def taken(self) -> bool:
        """Wait for the PUBACK and tell whether it says that the broker took the message.

        Raises:
            ConnectionLost: before the PUBACK; it may have arrived or not.
        """
        if self._request is not None:
            code = await self._request.wait()
            if code is None:
                raise self._lost()
            if code.is_failure:
                self.refusal = PublishRefused(str(code))
        return self.refusal is None
