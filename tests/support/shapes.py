"""Checks of array shapes, which take three quarters of the time of tests that call the core very often."""

from contextlib import contextmanager
from functools import wraps

from jaxtyping import config

CHECKED_EXAMPLES = 10


@contextmanager
def unchecked():
    """Functions of the core run as they are served."""
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", value=True)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", before)


class FirstExamples:
    """Checks shapes in a property's first examples, and in all after one that failed while they were checked."""

    def __init__(self):
        self.left = CHECKED_EXAMPLES

    def of(self, test):
        """The body of a property, to be run once for each example."""

        @wraps(test)
        def run(*args, **kwargs):
            if not self.left:
                with unchecked():
                    return test(*args, **kwargs)
            result = test(*args, **kwargs)
            self.left -= 1
            return result

        return run
