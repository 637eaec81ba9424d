"""Unit tests reach no network: a socket that is opened by mistake fails the test. Event loops may talk to themselves."""

import pytest
from hypothesis import settings
from pytest_socket import disable_socket, enable_socket

# How long an example takes depends on who else is at work on the machine.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _no_network():
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
