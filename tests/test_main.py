"""The whole program: what a run prints, returns, saves, and refuses."""

import os
import re
import runpy
import signal
import subprocess
import sys
import threading
from pathlib import Path
from unittest.mock import Mock

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from conftest import SCRIPT, TESTS, TINY

import rnn_sine

NAMES = ["persistence", "linear regression", "MLP", "RNN"]


def test_the_default_run_is_the_articles(default_run):
    results, out = default_run
    lines = out.splitlines()
    assert lines[0] == "800 samples train, 200 test. Device: cpu"
    difference = re.fullmatch(r"The loop by hand and nn\.RNN differ by (\S+) at most\.", lines[1])
    assert float(difference[1]) < 1e-5
    assert lines[2] == "Training the RNN..."
    assert lines[13] == "Training the MLP..."
    losses = [float(loss) for loss in re.findall(r"^Epoch \[\d+0/100\], Loss: (\S+),", out, re.MULTILINE)]
    # Processors round differently; over 100 epochs that can move a loss, but not the first tens.
    assert losses[:3] == pytest.approx([2.681e-4, 5.226e-5, 1.833e-5], rel=0.02)
    articles = [1.300e-5, 8.832e-6, 1.915e-5, 1.007e-5, 9.981e-6, 7.533e-6, 1.150e-5]
    assert losses[3:10] == pytest.approx(articles, rel=0.2)
    _, test_losses = results["losses"]["RNN"]
    assert test_losses[-1] == pytest.approx(3.740e-6, rel=0.2)
    assert lines[-1] == "Picture: rnn_sine.png"
    assert results["actuals"] == pytest.approx(np.sin(np.linspace(0, 10 * np.pi, 1020))[-200:], abs=1e-6)
    assert (results["mean"], results["scale"], results["picture"]) == (0, 1, "rnn_sine.png")
    assert "ahead" not in results


def test_the_table_has_the_rmse_of_each_predictor_and_says_who_wins(default_run):
    results, out = default_run
    table = "predictor           RMSE 1 step ahead         4        16        64\n"
    assert list(results["errors"]) == NAMES
    for name, errors in results["errors"].items():
        assert errors.shape == (200, 64)
        sizes = np.sqrt(np.nanmean(errors**2, axis=0))
        table += f"{name:27}{sizes[0]:10.3g}{sizes[3]:10.3g}{sizes[15]:10.3g}{sizes[63]:10.3g}\n"
    assert table + ("One step ahead, linear regression errs least. In ten parts of the test it beats\n"
                    "persistence in 10, MLP in 10, RNN in 10.\n") in out


def test_the_sunspots_are_compared_and_continued_in_their_own_unit(run_tiny):
    results, out = run_tiny("--ahead", "3", "--series", str(TESTS / "sunspots.csv"))
    years = np.loadtxt(TESTS / "sunspots.csv", delimiter=",", skiprows=1, usecols=1)
    tested = years[-61:]  # 0.8 of 304 samples train
    assert results["actuals"].tolist() == tested.tolist()
    assert results["errors"]["persistence"].shape == (61, 30)
    assert results["errors"]["persistence"][:, 0] == pytest.approx(years[-62:-1] - tested, abs=1e-4)
    sizes = {name: np.sqrt(np.nanmean(errors[:, :3] ** 2)) for name, errors in results["errors"].items()}
    assert results["ahead_rmse"] == pytest.approx(sizes)
    assert {type(size) for size in results["ahead_rmse"].values()} == {float}  # torch.load refuses NumPy's numbers
    best = min(sizes, key=sizes.get)
    assert results["ahead_by"] == best
    assert f"RMSE over all of 1 to 3 steps ahead: persistence {sizes['persistence']:.3g}, linear" in out
    assert f"\nSo the next values are those of {best}:\n step      prediction  " in out
    prediction, low, high = results["ahead"][2]
    width = np.quantile(np.abs(results["errors"][best][:59, 2]), 0.9)
    assert [low, high] == pytest.approx([prediction - width, prediction + width])
    assert f"\n    3{prediction:16.1f}{low:16.1f}{high:16.1f}\n" in out  # scale 37.6: three digits


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


def test_a_wrong_loop_by_hand_is_seen(run_tiny):
    _, out = run_tiny(changes=[("return model.fc(h)", "return model.fc(h) + x[:, 0] - x[:, 0] + 7")])
    assert "differ by 7e+00 at most" in out


@pytest.mark.parametrize("factor, digits", [(1e-9, r"\d\.\d{10}"), (1e9, r"\d{10,11}")])
def test_a_list_written_into_main_is_a_series_and_very_small_and_large_values_stand_apart(run_tiny, factor, digits):
    line = "    args, device, series = read_flags(argv)"
    new_line = f"{line}; series = [{factor} * n for n in range(50)] * 2 #"
    results, out = run_tiny("--ahead", "8", changes=[(line, new_line)])
    assert results["actuals"].tolist() == [factor * n for n in range(31, 50)]  # a fifth of 95 samples
    assert re.search(rf"^    8( +-?{digits}){{3}}$", out, re.MULTILINE)


@pytest.mark.parametrize("kind, num_layers", [("LSTM", 1), ("GRU", 1), ("RNN", 2)])
def test_a_run_with_one_word_changed_or_with_two_layers_even_100_steps_ahead(run_tiny, kind, num_layers):
    flags = ["--num-layers", str(num_layers), "--ahead", "100"]
    results, out = run_tiny(*flags, changes=[("self.rnn = nn.RNN(", f"self.rnn = nn.{kind}(")])
    assert type(results["model"].rnn).__name__ == kind
    assert results["model"].rnn.num_layers == num_layers
    assert results["ahead"].shape == (100, 3)
    assert results["errors"]["RNN"].shape == (200, 100)
    assert "by hand" not in out


def test_a_students_predictor_and_trained_network_are_compared_printed_and_drawn(run_tiny):
    results, out = run_tiny(changes=[
        ('"RNN": rnn,\n', '"mine": nn.Sequential(Persistence(), nn.Threshold(0, math.nan)),\n        "wide": wide,\n'
         '        "RNN": rnn,\n'),
        ("    except FloatingPointError", "        wide = make_mlp(args.seq_length, 99).to(device)\n"
         "        wide_losses = train_with_adam(wide, train_data, test_data, **settings)\n"
         "    except FloatingPointError"),
        ('"MLP": mlp_losses}', '"MLP": mlp_losses, "wide": wide_losses}')])
    # It predicts no number below 0, which counts as infinitely wrong.
    assert re.search(r"^mine +inf +inf +inf +inf\nwide  .*\nRNN  ", out, re.MULTILINE)
    assert re.search(r", mine in \d+, wide in \d+, RNN in \d+\.\n", out)
    assert Path(results["picture"]).exists()


def test_the_flags_of_the_rnn_do_not_change_the_mlp(run_tiny):
    results, _ = run_tiny("--epochs", "3")
    deep, _ = run_tiny("--epochs", "3", "--num-layers", "2")
    assert deep["losses"]["MLP"] == results["losses"]["MLP"]
    np.testing.assert_array_equal(deep["errors"]["MLP"], results["errors"]["MLP"])


def test_ctrl_c_in_both_trainings_ends_these_only(run_script, monkeypatch):
    monkeypatch.setattr("torch.optim.Adam.step", Mock(side_effect=KeyboardInterrupt))
    status, out, err = run_script("--no-show")
    assert (status, err) == (0, "")
    assert out.count("Stopped in epoch 1 of 1.\n") == 2
    assert out.endswith("\nPicture: rnn_sine.png\n")


@pytest.mark.parametrize("place", ["torch.optim.Adam", "torch.linalg.lstsq", "matplotlib.figure.Figure.savefig"])
def test_ctrl_c_outside_of_an_epoch_ends_the_program_in_a_sentence(run_script, monkeypatch, place):
    monkeypatch.setattr(place, Mock(side_effect=KeyboardInterrupt))
    status, _, err = run_script("--no-show")
    assert (status, err) == (130, "rnn_sine.py: stopped by Ctrl-C\n")


def test_a_loss_that_is_not_finite_ends_the_program_in_a_sentence(run_script):
    status, _, _ = run_script("--learning-rate", "1e29", "--epochs", "2")
    assert re.fullmatch(r"rnn_sine\.py: Epoch \[1/2\], Loss: .*not finite, so try a lower learning rate", status)


def test_a_full_disk_ends_with_a_sentence_and_keeps_results_and_an_older_picture(run_tiny, run_script, monkeypatch):
    def savefig_half(_, path, **__):
        Path(path).write_text("half a picture")
        raise OSError("No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", savefig_half)
    Path("rnn_sine.png").write_text("old")
    results, out = run_tiny()
    assert results["picture"] is None
    assert results["actuals"].shape == (200,)
    assert "Picture: " not in out
    status, _, err = run_script()
    assert (status, err) == (1, "The picture could not be saved: No space left on device\n")
    assert os.listdir() == ["rnn_sine.png"]
    assert Path("rnn_sine.png").read_text() == "old"


@pytest.mark.parametrize("backend, flags, shown", [
    ("agg", [], []),
    ("tkagg", ["--no-show"], []),
    ("tkagg", [], [{"block": True}]),  # in interactive mode the window would vanish at once
])  # fmt: skip
def test_the_picture_is_saved_and_then_shown_where_that_is_possible(run_script, monkeypatch, backend, flags, shown):
    show = Mock(side_effect=lambda **_: os.stat("a.PDF"))
    monkeypatch.setattr(plt, "get_backend", lambda: backend)
    monkeypatch.setattr(plt, "show", show)
    status, out, err = run_script("--output", "a.PDF", *flags)
    assert (status, err) == (0, "")
    assert out.endswith("\nPicture: a.PDF\n")
    assert Path("a.PDF").read_bytes().startswith(b"%PDF")
    assert [call.kwargs for call in show.call_args_list] == shown
    assert plt.get_fignums() == []


POSITIVE = ("epochs", "batch-size", "learning-rate", "max-grad-norm", "hidden-size", "num-layers", "seq-length")


@pytest.mark.parametrize("flags, words", [(f"--{name} 0", f"--{name} must be above 0") for name in POSITIVE] + [
    ("--learning-rate 1e39", "--learning-rate must be above 0 and below 1e30"),
    ("--noise 1e20", "--noise must be from 0 to 1000"),
    ("--ahead 101", "--ahead can be 100 at most"),
    ("--ahead -5", "--ahead must be at least 0"),
    ("--noise -1", "--noise must be from 0"),
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
    ("--series good --seq-length 99", "100 values are too few"),
])  # fmt: skip
def test_bad_flags_are_refused_in_a_sentence_before_training(run_script, flags, words):
    Path("folder.png").mkdir()
    Path("good").write_text("1\n2\n" * 50)
    status, out, err = run_script("--no-show", *flags.split())
    assert status == 2
    assert "Training" not in out
    assert words in err.splitlines()[-1]
    assert sorted(os.listdir()) == ["folder.png", "good"]


def test_one_thread_computes_and_on_a_graphics_card_an_rnn_in_full_precision(monkeypatch):
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda n, device: ones(n))  # as if every device were there
    new = hasattr(torch.backends.cudnn, "rnn")  # older versions have another name for it
    place, name = (torch.backends.cudnn.rnn, "fp32_precision") if new else (torch.backends.cudnn, "allow_tf32")
    callers = "tf32" if new else True
    monkeypatch.setattr(place, name, callers)
    torch.set_num_threads(2)
    rnn_sine.prepare_device("cpu")
    assert torch.get_num_threads() == 1
    assert getattr(place, name) == callers
    assert rnn_sine.prepare_device("cuda:1") == torch.device("cuda:1")
    assert getattr(place, name) == ("ieee" if new else False)


def test_importing_prints_and_changes_nothing(capsys):
    torch.set_num_threads(2)
    states = []
    for _ in range(2):
        randoms = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()
        states.append((randoms, torch.get_num_threads(), dict(plt.rcParams)))
        runpy.run_path(str(SCRIPT), run_name="rnn_sine")
    assert states[0] == states[1]
    assert capsys.readouterr() == ("", "")


def test_a_mistake_in_the_students_code_shows_its_traceback(run_tiny):
    with pytest.raises(ValueError, match="cannot reshape array"):
        run_tiny(changes=[("mean, scale = 0.0, 1.0", "mean, scale = np.zeros(5).reshape(2, 3)")])


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
