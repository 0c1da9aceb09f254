"""The whole program: what a run prints, returns, saves, and refuses."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from conftest import ROOT, SCRIPT, TESTS, TINY

import rnn_sine

SUNSPOTS = ["--series", str(TESTS / "sunspots.csv")]
NAMES = ["persistence", "linear regression", "MLP", "RNN"]


def table_of(text):
    """The table in what a run prints, or in the docstring: (headings, predictor's name -> its numbers)."""
    lines = text[text.index("predictor  ") :].splitlines()
    numbers = {}
    for line in lines[1:5]:
        name, *cells = re.split("  +", line.strip())
        numbers[name] = [float(cell) for cell in cells]
    return lines[0], numbers


def test_the_default_run_is_the_articles(default_run):
    results, out = default_run
    lines = out.splitlines()
    assert lines[0] == "800 samples train, 200 test. Device: cpu"
    assert lines[2] == "Training the RNN..."
    losses = [float(loss) for loss in re.findall(r"^Epoch \[\d+0/100\], Loss: (\S+),", out, re.MULTILINE)]
    # Processors round differently; over 100 epochs that can move a loss, but not the first tens.
    assert losses[:3] == pytest.approx([2.681e-4, 5.226e-5, 1.833e-5], rel=0.02)
    articles = [1.300e-5, 8.832e-6, 1.915e-5, 1.007e-5, 9.981e-6, 7.533e-6, 1.150e-5]
    assert losses[3:10] == pytest.approx(articles, rel=0.2)
    _, test_losses = results["losses"]["RNN"]
    assert test_losses[-1] == pytest.approx(3.740e-6, rel=0.2)
    assert lines[-1] == "Picture: rnn_sine.png"


def test_the_table_has_the_rmse_of_each_predictor_and_says_who_wins(default_run):
    results, out = default_run
    headings, numbers = table_of(out)
    assert headings == "predictor           RMSE 1 step ahead         4        16        64"
    assert list(numbers) == list(results["errors"]) == NAMES
    for name in NAMES:
        assert results["errors"][name].shape == (200, 64)
        sizes = rnn_sine.rmse(results["errors"][name])
        assert numbers[name] == [float(f"{sizes[steps - 1]:.3g}") for steps in (1, 4, 16, 64)]
    assert ("\nOne step ahead, linear regression errs least. In ten parts of the test it beats\n"
            "persistence in 10, MLP in 10, RNN in 10.\n") in out


def test_the_table_in_the_docstring_is_that_of_the_default_run(default_run):
    headings, numbers = table_of(rnn_sine.__doc__)
    printed_headings, printed = table_of(default_run[1])
    assert headings.strip() == printed_headings
    assert list(numbers) == list(printed)
    for name in NAMES:
        # Processors round differently, and linear regression errs by rounding alone.
        rounding = 1e-5 if name == "linear regression" else 0
        assert numbers[name] == pytest.approx(printed[name], rel=0.1, abs=rounding)


def test_the_loop_by_hand_is_compared_with_nn_rnn_on_first_weights_and_differs_by_rounding(default_run):
    line = default_run[1].splitlines()[1]
    difference = re.fullmatch(r"The loop by hand and nn\.RNN differ by (\S+) at most\.", line)
    assert 0 <= float(difference[1]) < 1e-5


def test_a_wrong_loop_by_hand_is_seen(run_tiny, monkeypatch):
    monkeypatch.setattr(rnn_sine, "predict_by_hand", lambda model, x: model(x) + torch.arange(len(x)).reshape(-1, 1))
    _, out = run_tiny()
    assert "differ by 3e+01 at most" in out  # the largest of 0 ... 31


def test_results_hold_the_test_values_and_no_next_ones_if_nobody_asked(default_run):
    results, _ = default_run
    angles = np.linspace(0, 10 * np.pi, 1020)
    assert results["actuals"].dtype == np.float64
    assert results["actuals"] == pytest.approx(np.sin(angles[-200:]), abs=1e-6)
    assert (results["mean"], results["scale"], results["picture"]) == (0, 1, "rnn_sine.png")
    assert "ahead" not in results


def test_the_sunspots_are_compared_and_continued_in_their_own_unit(run_tiny):
    results, out = run_tiny("--ahead", "3", *SUNSPOTS)
    years = np.loadtxt(TESTS / "sunspots.csv", delimiter=",", skiprows=1, usecols=1)
    tested = years[-61:]  # 0.8 of 304 samples train
    assert results["actuals"].tolist() == tested.tolist()
    assert results["errors"]["persistence"].shape == (61, 30)
    assert results["errors"]["persistence"][:, 0] == pytest.approx(years[-62:-1] - tested, abs=1e-4)
    sizes = {name: np.sqrt(np.nanmean(errors[:, :3] ** 2)) for name, errors in results["errors"].items()}
    assert results["ahead_rmse"] == pytest.approx(sizes)
    best = min(sizes, key=sizes.get)
    assert results["ahead_by"] == best
    assert f"RMSE over all of 1 to 3 steps ahead: persistence {sizes['persistence']:.3g}, linear" in out
    assert f"\nSo the next values are those of {best}:\n step      prediction  " in out
    sizes_of_errors = np.abs(results["errors"][best][:59, 2])
    prediction, low, high = results["ahead"][2]
    width = np.quantile(sizes_of_errors, 0.9)
    assert [low, high] == pytest.approx([prediction - width, prediction + width])
    assert f"\n    3{prediction:16.1f}{low:16.1f}{high:16.1f}\n" in out  # scale 37.6: three digits


def test_the_next_values_reach_at_most_half_as_far_as_the_test_part(run_tiny, capsys):
    results, _ = run_tiny("--ahead", "100")  # of 200
    assert results["ahead"].shape == (100, 3)
    assert results["errors"]["RNN"].shape == (200, 100)
    with pytest.raises(SystemExit, match="2"):
        run_tiny("--ahead", "101")
    out, err = capsys.readouterr()
    assert "--ahead can be 100 at most" in err
    assert "Training" not in out


@pytest.mark.parametrize("factor, digits", [(1e-9, r"\d\.\d{11}"), (1e9, r"\d{10,11}")])
def test_very_small_and_very_large_values_stand_apart(run_tiny, factor, digits):
    np.savetxt("a.txt", factor * (20 + 5 * np.sin(np.arange(90))))
    _, out = run_tiny("--series", "a.txt", "--ahead", "8")
    assert re.search(rf"^    8( +-?{digits}){{3}}$", out, re.MULTILINE)


def test_flags_of_a_file_reach_its_reader(run_tiny):
    values = 20 + np.sin(np.arange(100)).round(3)
    rows = [f"{row},{value},7" for row, value in enumerate(values)]
    rows[50] = "50,NA,7"
    Path("a.csv").write_text("day,value,other\n" + "\n".join(rows))
    flags = ["--series", "a.csv", "--column", "value", "--drop-missing"]
    results, _ = run_tiny(*flags)
    assert results["actuals"].tolist() == values[-19:].tolist()  # a fifth of 94 samples
    results, _ = run_tiny("--newest-first", *flags)
    assert results["actuals"].tolist() == values[18::-1].tolist()
    with pytest.raises(SystemExit, match="2"):
        run_tiny("--newest-first", *flags[:-1])


def changed_script(*changes):
    """The names of the script after a student's changes: pairs of a text that stands there once, and a new one."""
    source = SCRIPT.read_text(encoding="utf-8")
    for old, new in changes:
        assert source.count(old) == 1
        source = source.replace(old, new)
    names = {"__name__": "changed"}
    exec(source, names)
    return names


def test_a_list_written_into_main_is_a_series_as_a_file_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = "    args, device, series = read_flags(argv)"
    names = changed_script((line, line + "; series = list(range(50)) * 2 #"))
    results = names["main"](TINY + ["--no-show"])
    assert results["actuals"].tolist() == list(range(31, 50))  # a fifth of 95 samples


@pytest.mark.parametrize("kind, num_layers", [("LSTM", 1), ("GRU", 1), ("RNN", 2)])
def test_a_run_with_one_word_changed_or_with_two_layers(kind, num_layers, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = changed_script(("self.rnn = nn.RNN(", f"self.rnn = nn.{kind}("))
    results = names["main"](TINY + ["--no-show", "--num-layers", str(num_layers)])
    assert type(results["model"].rnn).__name__ == kind
    assert results["model"].rnn.num_layers == num_layers
    assert Path(results["picture"]).exists()
    assert "by hand" not in capsys.readouterr().out


def test_a_students_predictor_and_trained_network_are_compared_printed_and_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = changed_script(
        ('"MLP": mlp,\n', '"MLP": mlp,\n        "mine": Persistence(),\n        "wide": wide,\n'),
        ("    except FloatingPointError", "        wide = make_mlp(args.seq_length, 99).to(device)\n"
         "        wide_losses = train_with_adam(wide, train_data, test_data, **settings)\n"
         "    except FloatingPointError"),
        ('"MLP": mlp_losses}', '"MLP": mlp_losses, "wide": wide_losses}'))
    results = names["main"](TINY + ["--no-show"])
    _, numbers = table_of(capsys.readouterr().out.replace("\nwide ", "\nRNN "))
    assert list(results["errors"]) == ["persistence", "linear regression", "MLP", "mine", "wide", "RNN"]
    assert numbers["mine"] == numbers["persistence"]
    figure = names["draw_results"](results)
    colors = {}
    for line in figure.axes[2].lines + figure.axes[3].lines:
        colors.setdefault(line.get_label().partition(":")[0], set()).add(line.get_color())
    assert list(colors) == list(results["errors"])
    assert len(set.union(*colors.values())) == 6  # one colour each, and no two the same


def test_what_happens_to_one_network_does_not_change_the_other(run_tiny, monkeypatch):
    undisturbed, _ = run_tiny("--epochs", "3")
    deep, _ = run_tiny("--epochs", "3", "--num-layers", "2")
    forward, calls = torch.nn.MSELoss.forward, []

    def interrupted_once(*arguments):
        calls.append(arguments)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return forward(*arguments)

    monkeypatch.setattr("torch.nn.MSELoss.forward", interrupted_once)
    stopped, out = run_tiny("--epochs", "3")
    assert out.count("Stopped in epoch 1 of 3.") == 1
    assert stopped["losses"]["RNN"] == ([], [])
    for results in (deep, stopped):
        assert results["losses"]["MLP"] == undisturbed["losses"]["MLP"]
        np.testing.assert_array_equal(results["errors"]["MLP"], undisturbed["errors"]["MLP"])
    assert Path(stopped["picture"]).exists()


@pytest.mark.parametrize("place", ["torch.optim.Adam", "torch.linalg.lstsq", "matplotlib.figure.Figure.savefig"])
def test_ctrl_c_outside_of_an_epoch_ends_the_program_in_a_sentence(run_script, monkeypatch, place):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(place, interrupted)
    Path("rnn_sine.png").write_text("old")
    status, _, err = run_script("--no-show")
    assert (status, err) == (130, "rnn_sine.py: stopped by Ctrl-C\n")
    assert Path("rnn_sine.png").read_text() == "old"


def test_a_loss_that_is_not_finite_ends_the_program_and_keeps_an_older_picture(run_script):
    Path("rnn_sine.png").write_text("old")
    status, _, err = run_script("--learning-rate", "1e29", "--epochs", "2")
    assert status == 1
    assert err.startswith("rnn_sine.py: Epoch [1/2], Loss: ")
    assert err.endswith("not finite, so try a lower learning rate\n")
    assert Path("rnn_sine.png").read_text() == "old"


def test_a_full_disk_ends_with_a_sentence_and_keeps_results_and_an_older_picture(run_tiny, run_script, capsys):
    resource = pytest.importorskip("resource")
    Path("rnn_sine.png").write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # no file can grow beyond 10 kB
    try:
        results, out = run_tiny()
        status, _, err = run_script()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert results["picture"] is None
    assert results["actuals"].shape == (200,)
    assert "Picture: " not in out
    assert (status, "The picture could not be saved: " in err) == (1, True)
    assert os.listdir() == ["rnn_sine.png"]
    assert Path("rnn_sine.png").read_text() == "old"


@pytest.mark.parametrize("backend, flags, shown", [
    ("agg", [], []),
    ("tkagg", ["--no-show"], []),
    ("tkagg", [], [{"block": True}]),  # in interactive mode the window would vanish at once
])  # fmt: skip
def test_the_picture_is_saved_and_then_shown_where_that_is_possible(run_script, monkeypatch, backend, flags, shown):
    calls = []

    def show(**settings):
        assert Path("a.PDF").read_bytes().startswith(b"%PDF")
        calls.append(settings)

    monkeypatch.setattr(plt, "get_backend", lambda: backend)
    monkeypatch.setattr(plt, "show", show)
    status, out, err = run_script("--output", "a.PDF", *flags)
    assert (status, err) == (0, "")
    assert out.endswith("\nPicture: a.PDF\n")
    assert os.listdir() == ["a.PDF"]
    assert calls == shown
    assert plt.get_fignums() == []


@pytest.mark.parametrize("flags, words", [
    ("--epochs 0", "--epochs must be above 0 and below 1e30, not 0"),
    ("--batch-size -1", "--batch-size must be above 0"),
    ("--hidden-size 0", "--hidden-size must be above 0"),
    ("--num-layers 0", "--num-layers must be above 0"),
    ("--seq-length 0", "--seq-length must be above 0"),
    ("--max-grad-norm 0", "--max-grad-norm must be above 0"),
    ("--learning-rate nan", "--learning-rate must be above 0"),
    ("--learning-rate inf", "--learning-rate must be above 0 and below 1e30, not inf"),
    ("--learning-rate 1e39", "--learning-rate must be above 0 and below 1e30"),
    ("--noise 1e20", "--noise must be from 0 to 1000"),
    ("--noise -1", "--noise must be from 0"),
    ("--ahead -5", "--ahead must be at least 0"),
    ("--seed -1", "Seed must be between 0"),
    ("--device meta", "nothing can be computed on --device meta here"),
    ("--device none", "nothing can be computed on --device none here"),
    ("--output folder.png", "'folder.png' cannot be written"),
    ("--output missing/a.png", "'missing/a.png' cannot be written"),
    ("--output a.docx", "--output must end in .png"),
    ("--column a", "need --series FILE"),
    ("--newest-first", "need --series FILE"),
    ("--drop-missing", "need --series FILE"),
    ("--series good --noise 0.1", "--noise belongs to the sine"),
    ("--series missing.csv", "missing.csv"),
    ("--series folder.png", "folder.png"),
    ("--series good --seq-length 99", "100 values are too few"),
    ("--schedule onecycle", "unrecognized arguments"),
])  # fmt: skip
def test_bad_flags_are_refused_in_a_sentence_before_training(run_script, flags, words):
    Path("folder.png").mkdir()
    Path("good").write_text("1\n2\n" * 50)
    status, out, err = run_script("--no-show", *flags.split())
    assert status == 2
    assert "Training" not in out
    assert words in err.splitlines()[-1]
    assert sorted(os.listdir()) == ["folder.png", "good"]


def test_a_mistake_in_the_students_code_shows_its_traceback(run_tiny, monkeypatch):
    monkeypatch.setattr(rnn_sine, "make_windows", lambda *_: np.zeros(5).reshape(2, 3))
    with pytest.raises(ValueError, match="cannot reshape array"):
        run_tiny()


def test_on_a_graphics_card_an_rnn_computes_in_full_precision(monkeypatch):
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda n, device: ones(n))  # as if every device were there
    new = hasattr(torch.backends.cudnn, "rnn")  # older versions have another name for it
    place, name = (torch.backends.cudnn.rnn, "fp32_precision") if new else (torch.backends.cudnn, "allow_tf32")
    callers = "tf32" if new else True
    monkeypatch.setattr(place, name, callers)
    rnn_sine.prepare_device("cpu")
    assert getattr(place, name) == callers
    assert rnn_sine.prepare_device("cuda:1") == torch.device("cuda:1")
    assert getattr(place, name) == ("ieee" if new else False)


STATE = """
import matplotlib, numpy, torch
def state():
    random_states = torch.get_rng_state().tolist(), numpy.random.get_state()[1].tolist()
    return str([random_states, torch.get_num_threads(), dict.items(matplotlib.rcParams)])
torch.set_num_threads(2)
before = state()
import rnn_sine
assert before == state()
numpy.testing.assert_raises(SystemExit, rnn_sine.main, ["--ahead", "999"])
assert torch.get_num_threads() == 1
"""


def test_importing_changes_nothing_and_main_takes_one_thread():
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", STATE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_a_run_without_docstrings_and_asserts_as_by_python_oo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "optimized", "__doc__": None}
    exec(compile(SCRIPT.read_text(encoding="utf-8"), "rnn_sine.py", "exec", optimize=2), names)
    assert names["__doc__"] is None
    assert names["main"](TINY + ["--no-show"])["picture"] == "rnn_sine.png"


@pytest.mark.skipif(os.name == "nt", reason="needs a signal that Windows does not have")
def test_ctrl_c_as_a_signal_on_a_console_that_knows_no_chinese(tmp_path):
    (tmp_path / "a.csv").write_text("月份,产量\n" + "月,1\n月,2\n" * 45, encoding="utf-8")
    command = [sys.executable, str(SCRIPT), "--epochs", "9999", "--series", "a.csv"]
    # A job in the background of a shell inherits that Ctrl-C is ignored; this one must not.
    process = subprocess.Popen(
        command, cwd=tmp_path, env=dict(os.environ, PYTHONUNBUFFERED="1", PYTHONIOENCODING="ascii"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    killer = threading.Timer(60, process.kill)
    killer.start()
    out = ""
    for line in process.stdout:  # to its end, at the latest when the killer comes
        out += line
        if line.startswith("Epoch [10/"):
            process.send_signal(signal.SIGINT)
    killer.cancel()
    _, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "First used: line 2: \\u6708,1\n" in out
    assert out.count("Stopped in epoch") == 2
    assert (tmp_path / "rnn_sine.png").exists()
