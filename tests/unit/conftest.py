"""Unit tests reach no network: a socket that is opened by mistake fails the test. Event loops may talk to themselves."""

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def _no_network():
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
