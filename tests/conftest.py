"""Let the tests import the script from the folder above, whichever folder pytest starts in."""

import contextlib
import io
import os
import sys
from pathlib import Path

os.environ["MPLBACKEND"] = "Agg"  # no window opens during the tests
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import matplotlib.pyplot as plt
import pytest
import torch

import rnn_sine

torch.set_num_threads(1)  # tensors this small are faster without a second thread


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", "error")


@pytest.fixture(scope="session")
def default_run(tmp_path_factory):
    """The default run: (results of main, standard output, standard error, path of the picture)."""
    picture = tmp_path_factory.mktemp("default") / "rnn_sine.png"
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        results = rnn_sine.main(["--no-show", "--output", str(picture)])
    return results, out.getvalue(), err.getvalue(), picture


@pytest.fixture
def quick(tmp_path, capsys, monkeypatch):
    """Call main with flags, a tiny configuration and, to save time, an empty picture: (results, stdout)."""
    monkeypatch.setattr(rnn_sine, "draw_results", lambda *_: plt.figure())

    def run(*flags):
        small = ["--epochs", "1", "--n-samples", "40", "--hidden-size", "4", "--no-show"]
        results = rnn_sine.main([*small, "--output", str(tmp_path / "quick.png"), *map(str, flags)])
        captured = capsys.readouterr()
        assert captured.err == ""
        return results, captured.out

    return run
