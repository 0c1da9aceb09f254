"""What all tests share: the script is found, random numbers are the same, three kinds of run."""

import contextlib
import io
import os
import runpy
import sys
from pathlib import Path

os.environ["MPLBACKEND"] = "Agg"  # no window opens during the tests
TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(1, str(TESTS))

import matplotlib.pyplot as plt
import pytest
import torch

import rnn_sine

SCRIPT = ROOT / "rnn_sine.py"
TINY = ["--seq-length", "5", "--epochs", "1", "--hidden-size", "4", "--batch-size", "100", "--device", "cpu"]


def pytest_configure(config):
    """A warning fails a test, unless it is another library's word on what will change one day."""
    for line in ("error", "default::DeprecationWarning", "default::FutureWarning", "error:::rnn_sine"):
        config.addinivalue_line("filterwarnings", line)


def pytest_collection_modifyitems(items):
    """The smoke tests come first: they are fast, and the best introduction."""
    items.sort(key=lambda item: item.path.name != "test_smoke.py")


def pytest_runtest_setup():
    """A test draws the same numbers alone as in the whole suite, and computes in one thread, as main does."""
    torch.manual_seed(0)
    torch.set_num_threads(1)


def pytest_runtest_teardown():
    """No figure stays open."""
    plt.close("all")


@pytest.fixture(scope="session")
def default_run(tmp_path_factory):
    """The default run on the CPU: (results of main, standard output)."""
    out = io.StringIO()
    with contextlib.chdir(tmp_path_factory.mktemp("default")), contextlib.redirect_stdout(out):
        results = rnn_sine.main(["--device", "cpu", "--no-show"])
    return results, out.getvalue()


@pytest.fixture
def run_tiny(tmp_path, monkeypatch, capsys):
    """A function that calls main in an empty folder with small networks: (results, stdout).

    A student's changes of the script are pairs: a text that stands there once, and a new one.
    """
    monkeypatch.chdir(tmp_path)

    def run(*flags, changes=()):
        source = SCRIPT.read_text(encoding="utf-8")
        for old, new in changes:
            assert source.count(old) == 1
            source = source.replace(old, new)
        names = {"__name__": "rnn_sine", "__doc__": None}
        exec(compile(source, "rnn_sine.py", "exec", optimize=2), names)  # as by python -OO, without docstrings
        results = names["main"](TINY + ["--no-show"] + list(flags))
        return results, capsys.readouterr().out

    return run


@pytest.fixture
def run_script(tmp_path, monkeypatch, capsys):
    """A function that runs the file in an empty folder, as the command line does: (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*flags):
        monkeypatch.setattr(sys, "argv", ["rnn_sine.py"] + TINY + list(flags))
        status = 0
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as end:
            status = end.code  # or a text, which Python prints, and ends with 1
        out, err = capsys.readouterr()
        return status, out, err

    return run
