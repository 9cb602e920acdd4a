"""Runs the tests in this folder; ends with `N passed, N failed`. Names given select tests."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


class Result(unittest.TextTestResult):
    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def flatten(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def main(folder=os.path.dirname(os.path.abspath(__file__))):
    found = unittest.TestLoader().discover(folder)
    wanted = sys.argv[1:]
    chosen = [t for t in flatten(found) if not wanted or any(w in t.id() for w in wanted)]
    runner = unittest.TextTestRunner(verbosity=2, resultclass=Result)
    result = runner.run(unittest.TestSuite(chosen))
    failed = result.testsRun - result.passed - len(result.skipped)
    print(f"{result.passed} passed, {failed} failed, {len(result.skipped)} skipped")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
