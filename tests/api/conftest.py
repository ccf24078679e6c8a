"""A daemon for each module of tests, on the virtual radio, with its HTTP interface on both sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import api

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx


@pytest.fixture(scope="module")
def gateway(tmp_path_factory) -> Iterator[api.Api]:
    with api.running(tmp_path_factory.mktemp("api"), commands="rate_limit = 0") as running:
        yield running


@pytest.fixture
def here(gateway) -> Iterator[httpx.Client]:
    with gateway.here() as client:
        yield client


@pytest.fixture(scope="module")
def key(gateway) -> str:
    return gateway.key()


@pytest.fixture
def there(gateway, key) -> Iterator[httpx.Client]:
    with gateway.there(key) as client:
        yield client
