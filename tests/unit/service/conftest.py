import pytest

from tests.support.databases import open_sqlite
from tests.support.service import Service


@pytest.fixture
def service(tmp_path):
    """The use cases over an empty store."""
    store = open_sqlite(tmp_path)
    yield Service(store)
    store.close()
