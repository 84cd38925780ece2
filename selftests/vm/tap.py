# SPDX-License-Identifier: GPL-2.0
"""Tests that are functions, told as TAP; for what runs inside a guest."""
import time
import traceback


def tests_in(names):
    """The test_ functions of a module, by its globals(), in their order."""
    return [function for name, function in names.items() if name.startswith("test_")]


def run_tests(tests, *arguments, log=None):
    """Exit status. `log` returns what is to be shown of a test that failed."""
    failed = 0
    print(f"1..{len(tests)}", flush=True)
    for number, test in enumerate(tests, 1):
        name = test.__name__.removeprefix("test_")
        start = time.monotonic()
        try:
            test(*arguments)
            print(f"ok {number} {name}", flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print("# " + traceback.format_exc().replace("\n", "\n# "))
            if log:
                print("# " + log()[-2000:].replace("\n", "\n# "))
            print(f"not ok {number} {name}", flush=True)
        print(f"# {time.monotonic() - start:.1f} s", flush=True)
    return failed > 0
