import pytest

from consensus_server.backends.store import SqlStore
from tests.support.databases import DATABASES, empty_engine
from tests.support.service import Service


@pytest.fixture(params=DATABASES)
def service(request, tmp_path):
    """The use cases over each database."""
    store = SqlStore(empty_engine(request.param, tmp_path))
    yield Service(store)
    store.close()
