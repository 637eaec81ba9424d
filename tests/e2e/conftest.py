"""Every command here runs as in a company: whatever a proxy, an exception or a certificate can be, it does not work."""

import pytest

from tests.support.proxies import FORMS, set_environment


@pytest.fixture(scope="module", autouse=True)
def _in_a_company():
    with pytest.MonkeyPatch.context() as patch:
        set_environment(patch, **FORMS["everything"])
        yield
