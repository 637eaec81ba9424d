"""Unit tests reach no network: a socket that is opened by mistake fails the test. Event loops may talk to themselves."""

import inspect
import os

import pytest
from hypothesis import is_hypothesis_test, settings
from pytest_socket import disable_socket, enable_socket
from threadpoolctl import threadpool_limits

from tests.support.shapes import FirstExamples

# One thread: for arrays this small, more only wait for one another. Libraries read it when they are loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes depends on who else is at work on the machine.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """NumPy is loaded before this file."""
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True)
def _no_network():
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """Array shapes are checked in the first examples of a property: the others are to find wrong values."""
    if not is_hypothesis_test(pyfuncitem.obj) or inspect.iscoroutinefunction(pyfuncitem.obj.hypothesis.inner_test):
        return (yield)
    handle = pyfuncitem.obj.hypothesis
    body = handle.inner_test
    handle.inner_test = FirstExamples().of(body)
    try:
        return (yield)
    finally:
        handle.inner_test = body
