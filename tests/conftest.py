"""What holds for every test: identifiers of its own, a process as it was before, an order that is told."""

import gc
import logging
import os
import random
import re
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from encodable import encodable
from transformers.utils import logging as transformers_logging

#: All identifiers of a session, before a -k leaves some out.
COLLECTED = pytest.StashKey[list[str]]()
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def pytest_make_parametrize_id(val: object, argname: str) -> None:
    """Refuses bytes without a name: what makes them may hold the time, and two workers then disagree."""
    if isinstance(val, bytes | bytearray):
        raise pytest.Collector.CollectError(
            f"'{argname}' is parametrised by bytes: give each a name, by ids=[…] or pytest.param(…, id=…)."
        )


def pytest_itemcollected(item: pytest.Item) -> None:
    """Refuses identifiers that hold an address, which is another in every process."""
    if ADDRESS.search(item.nodeid):
        raise pytest.UsageError(f"{item.nodeid}: an address in an identifier; give the parameter a name.")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps the identifiers for the test that compares them."""
    config.stash[COLLECTED] = [item.nodeid for item in items]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What is imported by now lives to the end: the collector need not look through it again and again.

    Half a million objects of torch and transformers are 0.3 s at each collection, and every training ends by
    one: half of the time of the tests that train.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """What hostile text left in a test's output doesn't end the run when workers report it."""
    return encodable((yield))


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Says the seed of the order first, for runs that are cut off."""
    reporter = session.config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        _say_order(reporter, session.config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says the seed of the order last, where one looks."""
    _say_order(terminalreporter, config)


def _say_order(reporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The flag that runs the tests in this order again, which pytest -q keeps to itself."""
    if config.pluginmanager.hasplugin("randomly"):
        reporter.ensure_newline()
        reporter.write_line(f"Order of the tests: --randomly-seed={config.getoption('randomly_seed')}")


@pytest.fixture
def collected(pytestconfig: pytest.Config) -> list[str]:
    """The identifiers of this session's tests."""
    return pytestconfig.stash[COLLECTED]


@pytest.fixture(autouse=True)
def _the_process_as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    """Puts back what a test may change for those after it; torch draws by the seed of the order.

    The command line sets threads, variables and levels for the process that it is. In a test it is called in
    a process that goes on.
    """
    ordered = request.config.pluginmanager.hasplugin("randomly")
    torch.manual_seed(random.getrandbits(32) if ordered else 0)
    environment, folder, path = dict(os.environ), Path.cwd(), list(sys.path)
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    level = logging.getLogger().level
    yield
    os.chdir(folder)
    sys.path[:] = path
    if dict(os.environ) != environment:
        os.environ.clear()
        os.environ.update(environment)
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)
    transformers_logging.set_verbosity(verbosity)
    (transformers_logging.enable_progress_bar if bars else transformers_logging.disable_progress_bar)()
    logging.getLogger().setLevel(level)
