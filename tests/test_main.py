"""The command line: what a run prints, returns, draws, and refuses."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import ROOT, TESTS

import rnn_sine

SUNSPOTS = ["--series", str(TESTS / "sunspots.csv"), "--column", "SUNACTIVITY"]


def test_the_default_run_is_the_articles_and_its_table_has_the_rmse(default_run):
    results, out = default_run
    losses = re.findall(r"^Epoch .*, Loss: (\S+),", out, re.MULTILINE)
    # Processors round differently; over 100 epochs that can move a loss, but not the first tens.
    assert [float(loss) for loss in losses[:3]] == pytest.approx([2.681e-4, 5.226e-5, 1.833e-5], rel=0.02)
    assert results["losses"]["RNN: test"][-1] == pytest.approx(3.740e-6, rel=0.2)
    table = out[out.index("predictor ") :].splitlines()
    assert table[0] == "predictor           RMSE 1 step ahead         4        16        64"
    for name, row in zip(["persistence", "linear regression", "MLP", "RNN"], table[1:5]):
        sizes = rnn_sine.rmse(results["errors"][name])
        assert row[:27].strip() == name
        assert row[27:].split() == [f"{sizes[steps - 1]:.3g}" for steps in (1, 4, 16, 64)]
    assert table[5] == "Best one step ahead: linear regression. Of ten parts of the test it errs less in"
    assert table[6] == "10 than persistence, 10 than MLP, 10 than RNN."


def test_the_sunspots_are_compared_and_continued_in_their_own_unit(run_tiny):
    results, out = run_tiny("--ahead", "3", *SUNSPOTS)
    years = np.loadtxt(TESTS / "sunspots.csv", delimiter=",", skiprows=1, usecols=1)
    tested = years[-61:]  # 0.8 of 304 samples train
    assert results["actuals"] == pytest.approx(tested, abs=1e-4)
    assert results["errors"]["persistence"][:, 0] == pytest.approx(years[-62:-1] - tested, abs=1e-4)
    sizes = {name: np.sqrt(np.nanmean(errors[:, :3] ** 2)) for name, errors in results["errors"].items()}
    best = min(sizes, key=sizes.get)
    assert f"RMSE over all of 1 to 3 steps ahead: persistence {sizes['persistence']:.3g}, linear" in out
    assert f"\nSo the next values are those of {best}:\n step      prediction  " in out
    width = np.sort(np.abs(results["errors"][best][:59, 2]))[54 - 1]  # 0.9 of 60
    prediction, low, high = results["ahead"][2]
    assert [low, high] == pytest.approx([prediction - width, prediction + width])
    assert f"{prediction:16.1f}{low:16.1f}{high:16.1f}\n" in out  # scale 37.6: three digits


@pytest.mark.parametrize("factor, digits", [(1e-9, r"\d\.\d{11}"), (1e9, r"\d{10,11}")])
def test_very_small_and_very_large_values_stand_apart(run_tiny, factor, digits):
    np.savetxt("a.txt", factor * (20 + 5 * np.sin(np.arange(90))))
    _, out = run_tiny("--series", "a.txt", "--ahead", "9")
    assert re.search(rf"^    9( +-?{digits}){{3}}$", out, re.MULTILINE)


def test_a_students_fifth_predictor_is_compared_printed_and_drawn(capsys, tmp_path):
    source = (ROOT / "rnn_sine.py").read_text(encoding="utf-8")
    names = {"__name__": "changed"}
    exec(source.replace('"MLP": network,', '"MLP": network, "mine": Persistence(),'), names)
    results = names["main"](["--epochs", "1", "--no-show", "--output", str(tmp_path / "a.png")])
    assert "\nmine  " in capsys.readouterr().out
    lines = rnn_sine.draw_results(results).axes[2].lines
    assert [line.get_label() for line in lines] == ["persistence", "linear regression", "MLP", "mine", "RNN"]


def test_ctrl_c_in_the_first_epoch_still_compares_and_draws(run_tiny, monkeypatch):
    monkeypatch.setattr("torch.nn.MSELoss.forward", Mock(side_effect=KeyboardInterrupt))
    _, out = run_tiny("--epochs", "2")
    assert out.count("Stopped in epoch 1 of 2.") == 2
    assert Path("rnn_sine.png").exists()


def test_a_loss_that_is_not_finite_ends_the_program_and_keeps_an_older_picture(run_tiny, capsys):
    Path("rnn_sine.png").write_text("old")
    with pytest.raises(SystemExit, match="1"):
        run_tiny("--learning-rate", "1e30", "--epochs", "2")
    assert "not finite, so try a lower learning rate\n" in capsys.readouterr().err
    assert Path("rnn_sine.png").read_text() == "old"


@pytest.mark.parametrize("backend, shown", [("Agg", []), ("inline", [True])])
def test_the_picture_is_saved_before_it_is_shown_where_that_is_possible(tmp_path, monkeypatch, backend, shown):
    saved = []
    picture = tmp_path / "a.PDF"
    monkeypatch.setattr(plt, "get_backend", lambda: backend)
    monkeypatch.setattr(plt, "show", lambda: saved.append(picture.exists()))
    rnn_sine.main(["--epochs", "1", "--seq-length", "5", "--output", str(picture)])
    assert saved == shown


def test_the_picture_shows_the_results(run_tiny):
    results, _ = run_tiny("--ahead", "3", *SUNSPOTS)
    figure = rnn_sine.draw_results(results)
    one, many, errors, _ = figure.axes
    actuals, rnn_errors = results["actuals"], results["errors"]["RNN"]
    assert one.lines[1].get_ydata() == pytest.approx(actuals + rnn_errors[:, 0])
    assert many.lines[2].get_ydata() == pytest.approx(actuals[30:60] + rnn_errors[30])
    assert one.lines[2].get_label() == f"next values: {results['ahead_by']}"
    assert errors.lines[3].get_ydata() == pytest.approx(rnn_sine.rmse(rnn_errors))
    assert figure.get_figheight() * figure.dpi <= 768 - 100  # less the window's and the desktop's bars


@pytest.mark.parametrize("fonts", [["/b/wqy-zenhei.ttc", "/a/SimHei.ttf"], []])
def test_chinese_labels_where_there_is_a_font(run_tiny, monkeypatch, fonts):
    results, _ = run_tiny("--ahead", "2", "--lang", "zh")  # this one with or without a font
    figure = rnn_sine.draw_results(results)
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: fonts)
    rnn_sine.label_in_chinese(figure)
    texts = {text.get_text(): text.get_fontproperties().get_file() for text in figure.findobj(plt.Text)}
    assert ("RNN：训练" in texts) == ("RNN: training" not in texts) == (fonts != [])
    for text, font in texts.items():  # SimHei has no minus sign, so numbers keep their font
        assert font == ("/a/SimHei.ttf" if re.search("[\u4e00-\u9fff]", text) else None)


@pytest.mark.parametrize("flags, words", [
    ("--epochs 0", "--epochs must be above 0, not 0"),
    ("--learning-rate nan", "--learning-rate must be above 0"),
    ("--ahead -5", "--ahead and --noise must be at least 0"),
    ("--ahead 193", "--ahead can be 192 at most with 200 test values"),
    ("--seed -1", "Seed must be between 0"),
    ("--device meta", "nothing can be computed on --device meta here"),
    ("--output folder.png", "'folder.png' cannot be written"),
    ("--output a.docx", "--output must end in .png"),
    ("--column a", "need --series FILE"),
    ("--series good --noise 0.1", "--noise belongs to the sine"),
    ("--series missing.csv", "missing.csv"),
])  # fmt: skip
def test_bad_flags_are_refused_in_a_sentence_before_training(flags, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("folder.png").mkdir()
    Path("good").write_text("1\n2\n" * 50)
    with pytest.raises(SystemExit, match="2"):
        rnn_sine.main(["--no-show"] + flags.split())
    out, err = capsys.readouterr()
    assert "Training" not in out
    assert words in err.splitlines()[-1]
    assert sorted(os.listdir()) == ["folder.png", "good"]


def test_a_mistake_in_the_students_code_shows_its_traceback(run_tiny, monkeypatch):
    monkeypatch.setattr(rnn_sine, "make_windows", lambda *_: np.zeros(5).reshape(2, 3))
    with pytest.raises(ValueError, match="cannot reshape array"):
        run_tiny()


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
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs a signal that Windows does not have")
def test_ctrl_c_as_a_signal_on_a_console_that_knows_no_chinese(tmp_path):
    (tmp_path / "a.csv").write_text("月份,产量\n" + "月,1\n月,2\n" * 45, encoding="utf-8")
    command = [sys.executable, str(ROOT / "rnn_sine.py"), "--epochs", "9999", "--series", "a.csv"]
    # A job in the background of a shell inherits that Ctrl-C is ignored; this one must not.
    process = subprocess.Popen(
        command, cwd=tmp_path, env=dict(os.environ, PYTHONUNBUFFERED="1", PYTHONIOENCODING="ascii"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    out = ""
    for training in (1, 2):
        while out.count("Epoch [10/") < training:
            out += process.stdout.readline()
        process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "First used: line 2: \\u6708,1\n" in out
    assert (out + rest).count("Stopped in epoch") == 2
    assert (tmp_path / "rnn_sine.png").exists()
