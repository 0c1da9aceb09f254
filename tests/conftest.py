"""Let the tests import the script from the folder above, whichever folder pytest starts in."""
import contextlib
import io
import os
import sys
from pathlib import Path

os.environ["MPLBACKEND"] = "Agg"  # no window opens during the tests
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import pytest
import torch

import rnn_sine

torch.set_num_threads(1)  # tensors this small are faster without a second thread


def pytest_configure(config):
    """A warning fails a test, unless it is another library's word on what will change one day."""
    for line in ("error", "default::DeprecationWarning", "default::FutureWarning", "error:::rnn_sine"):
        config.addinivalue_line("filterwarnings", line)


def pytest_runtest_setup():
    torch.manual_seed(0)  # a test draws the same numbers alone as in the whole suite


@pytest.fixture(scope="session")
def default_run(tmp_path_factory):
    """The default run on the CPU: (results of main, standard output, path of the picture)."""
    out, picture = io.StringIO(), tmp_path_factory.mktemp("default") / "rnn_sine.png"
    with contextlib.redirect_stdout(out):
        results = rnn_sine.main(["--device", "cpu", "--no-show", "--output", str(picture)])
    return results, out.getvalue(), picture


@pytest.fixture
def tiny(tmp_path, monkeypatch, capsys):
    """Call main with flags and a tiny configuration in an empty folder: (results, stdout)."""
    monkeypatch.chdir(tmp_path)

    def run(*flags, size="--n-samples 40 --seq-length 5 "):
        small = size + "--epochs 1 --hidden-size 4 --batch-size 16 --no-show"
        results = rnn_sine.main([*small.split(), *map(str, flags)])
        return results, capsys.readouterr().out

    return run
