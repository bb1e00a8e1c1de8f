#!/usr/bin/env python3
"""Tests of the example program csv_pool: python3 tests/csv_pool.py PATH_TO_csv_pool [--big] [TEST...]

--big adds the run over a file of 300 MB. MP_CSV_FILES=path:path names further files, with the columns Genre, Year and
Artist, whose counts are compared too.
"""

import argparse
import faulthandler
import os
import sys
import unittest

sys.dont_write_bytecode = True  # a source tree stays clean

import csv_pool_support

WATCHDOG = 1800  # seconds for everything


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--big", action="store_true")
    parser.add_argument("tests", nargs="*", help="such as Counts, Deaths.test_interrupt")
    options = parser.parse_args()
    csv_pool_support.PROGRAM = os.path.abspath(options.program)
    faulthandler.dump_traceback_later(WATCHDOG, exit=True)
    import csv_pool_big
    import csv_pool_counts
    import csv_pool_deaths
    modules = [csv_pool_counts, csv_pool_deaths] + ([csv_pool_big] if options.big else [])
    for module in modules:
        globals().update({name: case for name, case in vars(module).items() if isinstance(case, type)})
    suite = unittest.TestSuite()
    loader = unittest.TestLoader()
    if options.tests:
        suite.addTests(loader.loadTestsFromNames(options.tests, sys.modules[__name__]))
    else:
        suite.addTests(loader.loadTestsFromModule(module) for module in modules)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
