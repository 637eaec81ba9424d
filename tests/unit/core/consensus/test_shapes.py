import numpy as np
import pytest
from jaxtyping import TypeCheckError

from consensus_server.core.consensus.answers.similarity import unit_vectors
from consensus_server.core.consensus.meaning import linkage


def test_shapes_are_checked_while_these_tests_run():
    with pytest.raises(TypeCheckError):
        unit_vectors(np.zeros(3, np.float32))
    with pytest.raises(TypeCheckError):
        linkage.average_linkage(np.ones((2, 3, 4)), np.ones(2))
    with pytest.raises(TypeCheckError):
        linkage.average_linkage(np.ones((2, 3, 3)), np.ones(5))
