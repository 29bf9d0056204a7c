"""Servers that the tests of the network share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox.net.world import Certificate, Origin, make_certificate, running


@pytest.fixture
def origin() -> Iterator[Origin]:
    """A server for plain HTTP."""
    with running(Origin()) as server:
        yield server


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def tls_origin(certificate: Certificate) -> Iterator[Origin]:
    """A server for HTTP inside TLS, good for every name of the tests."""
    with running(Origin(certificate.server_context())) as server:
        yield server
