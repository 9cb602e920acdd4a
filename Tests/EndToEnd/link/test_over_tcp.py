"""The tests of test_link.py and test_calls.py once more, with a broker that comes over TCP."""

import unittest

import harness
import test_calls
import test_link


def over_tcp(case):
    """The same tests, with the other carrier while they run."""

    class Carried(case):
        @classmethod
        def setUpClass(cls):
            super().setUpClass()
            harness.Setting.carrier = "tcp"

        @classmethod
        def tearDownClass(cls):
            harness.Setting.carrier = "memory"
            super().tearDownClass()

    Carried.__name__ = Carried.__qualname__ = f"{case.__name__}OverTCP"
    Carried.__module__ = __name__
    return Carried


for module in (test_link, test_calls):
    for name, found in list(vars(module).items()):
        if isinstance(found, type) and issubclass(found, unittest.TestCase):
            globals()[f"{name}OverTCP"] = over_tcp(found)
del found
