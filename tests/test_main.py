"""The command line: what a run prints, returns, draws, and refuses."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from conftest import ROOT
from matplotlib import font_manager
from torch import nn

import rnn_sine

PREDICTORS = ["persistence", "linear regression", "MLP", "RNN", "RNN, long window"]
LOSSES = ["RNN, training", "RNN, test", "MLP, training", "MLP, test"]


def test_the_default_run_is_the_articles(default_run):
    results, out, picture = default_run
    losses = [float(loss) for loss in re.findall(r"^Epoch .* (\S+)$", out.split("MLP")[0], re.MULTILINE)]
    # Processors round differently; over 100 epochs that can move a loss, but not the first tens.
    assert losses[:3] == pytest.approx([2.681e-4, 5.226e-5, 1.833e-5], rel=0.02)
    assert len(losses) == 10
    test_mse = results["test_mse"]
    assert test_mse["persistence"] == pytest.approx(4.663e-4, rel=1e-3)
    assert test_mse["linear regression"] < 1e-12 < test_mse["MLP"] < test_mse["persistence"]
    assert out.startswith("Device: cpu\n")
    assert out.endswith(f"\nPicture: {picture}\n")


def test_the_table_has_a_row_for_each_predictor_under_its_headings(default_run):
    results, out, _ = default_run
    table = out[out.index("predictor ") :].splitlines()
    assert table[0].split() == ["predictor", "one", "step", "1", "4", "16", "64", "behind", "the", "best"]
    behind = rnn_sine.standard_errors_behind(results)
    for name, row in zip(PREDICTORS, table[1:]):
        rmse = np.sqrt(np.mean(results["errors"][name].astype(float) ** 2, axis=0))
        cells = [f"{results['test_mse'][name]:.3e}"]
        for steps in (1, 4, 16, 64):
            cells.append(f"{rmse[steps - 1]:.3g}")
        cells.append("best" if name == "linear regression" else f"{behind[name]:.1f}")
        assert row.startswith(name + "  ")
        assert row.split()[-6:] == cells
        assert len(row) == len(table[0])


def test_main_returns_what_it_found(default_run):
    results = default_run[0]
    train_data, test_data = rnn_sine.generate_data()
    windows, targets = test_data.tensors
    model = results["model"]
    assert list(results["test_mse"]) == list(results["errors"]) == list(results["one_step"]) == PREDICTORS
    assert (results["mean"], results["scale"]) == (0, 1)
    for name, mse in results["test_mse"].items():
        errors = results["one_step"][name] - targets.numpy()
        assert mse == pytest.approx(np.mean(errors**2), rel=1e-3, abs=1e-12)
        assert results["errors"][name].shape == (137, 64)
    expected = model(windows).detach().numpy()
    assert results["one_step"]["RNN"] == pytest.approx(expected, abs=1e-6)
    longer = rnn_sine.long_windows(train_data, test_data, 200)
    expected = model(longer).detach().numpy()
    assert results["one_step"]["RNN, long window"] == pytest.approx(expected, abs=1e-5)
    assert results["many_steps"].shape == (200,)
    assert results["many_steps"][0] == pytest.approx(model(windows[:1]).item(), abs=1e-6)
    assert {name: len(losses) for name, losses in results["losses"].items()} == dict.fromkeys(LOSSES, 100)
    assert results["losses"]["RNN, test"][-1] == pytest.approx(results["test_mse"]["RNN"], rel=1e-3)
    assert results["losses"]["MLP, test"][-1] == pytest.approx(results["test_mse"]["MLP"], rel=1e-3)


def results_with(one_step, n_test=40, steps=4):
    """Results of predictors with these errors one step ahead, as far as `report` reads them."""
    results = {"actuals": np.zeros((n_test, 1)), "scale": 2.0, "one_step": {}, "test_mse": {}, "errors": {}}
    for name, error in one_step.items():
        errors = np.reshape(error, (-1, 1)) * np.ones((n_test, 1))
        results["one_step"][name] = errors
        results["test_mse"][name] = np.mean(errors**2)
        results["errors"][name] = errors[0] * np.ones((n_test, steps))
    return results


RISING = np.sqrt(1 + np.arange(40))  # squared errors from 1 to 40
UNSURE = np.sqrt(1 + np.arange(40) + 30 * (np.arange(40) < 4))  # the same, but in the first stretch


@pytest.mark.parametrize("one_step, last_line", [
    ({"a": RISING, "b": 0.1, "c": UNSURE}, "Best one step ahead: b. All others are at least 3 standard errors behind."),
    ({"a": UNSURE, "b": 9, "c": RISING},
     "Best one step ahead: c. Less than 3 standard errors behind, so not told apart from it\non this test part: a."),
    ({"a": RISING, "b": RISING, "c": UNSURE}, "Best one step ahead: a. Less than 3 standard errors behind, so not "
     "told apart from it\non this test part: b; c."),
])  # fmt: skip
def test_the_last_line_names_the_best_and_all_that_are_not_told_apart(one_step, last_line, capsys):
    rnn_sine.report(results_with(one_step))
    assert capsys.readouterr().out.endswith("\n" + last_line + "\n")


def test_under_twenty_test_values_nobody_is_told_apart(capsys):
    rnn_sine.report(results_with({"a": 1, "b": 2}, n_test=19, steps=1))
    out = capsys.readouterr().out
    assert out.endswith("\nBest one step ahead: a. But 19 test values are too few to tell.\n")
    assert re.search(r"^a +1\.000e\+00 +2 +best$", out, re.MULTILINE)  # the RMSE is 2, in the series' unit
    assert re.search(r"^b +4\.000e\+00 +4 +-$", out, re.MULTILINE)


def test_noise_adds_a_row_with_the_variance_below_which_nobody_gets(run_tiny):
    _, out = run_tiny("--noise", "0.5", "--output", "A.PDF")
    assert re.search(r"^noise variance +2\.500e-01 ", out, re.MULTILINE)
    assert Path("A.PDF").read_bytes().startswith(b"%PDF")
    assert os.listdir() == ["A.PDF"]


def test_a_students_sixth_predictor_is_compared_reported_and_drawn(run_tiny, capsys):
    results, _ = run_tiny()
    _, test_data = rnn_sine.generate_data(120, 5)
    windows, targets = test_data.tensors
    predictors = {f"mine {number}": (rnn_sine.Persistence(), windows) for number in range(7)}
    predictors["RNN"] = (results["model"], windows)
    results.update(rnn_sine.compare(predictors, targets, 12, 32, "cpu"))
    rnn_sine.report(results)
    assert "\nmine 6  " in capsys.readouterr().out
    figure = rnn_sine.draw_results(results)
    assert [line.get_label() for line in figure.axes[2].lines] == list(predictors)
    plt.close(figure)


class Diverging(nn.Linear):
    """A network whose answer is not finite."""

    def forward(self, x):
        return super().forward(x[:, :, 0]) * np.inf


def test_an_mlp_that_diverges_is_left_out(run_tiny, monkeypatch):
    monkeypatch.setattr(rnn_sine, "mlp", lambda seq_length, hidden_size: Diverging(seq_length, 1))
    results, out = run_tiny()
    assert re.search(r"^MLP: the loss is \w+ in epoch 1: try a lower learning rate\.$", out, re.MULTILINE)
    assert "MLP" not in results["test_mse"]
    assert list(results["losses"]) == ["RNN, training", "RNN, test"]


def interrupt(monkeypatch, network, call):
    """Let Ctrl-C come at the `call`-th time that `network`, a class, predicts in its training."""
    calls = []
    forward = network.forward

    def interrupted(self, x):
        if self.training:
            calls.append(1)
            if len(calls) == call:
                raise KeyboardInterrupt
        return forward(self, x)

    monkeypatch.setattr(network, "forward", interrupted)


def test_ctrl_c_in_the_first_epoch_of_the_rnn_ends_the_program(run_tiny, monkeypatch, capsys):
    interrupt(monkeypatch, rnn_sine.SimpleRNN, call=2)
    with pytest.raises(SystemExit, match="1"):
        run_tiny()
    assert "the RNN has not finished one epoch" in capsys.readouterr().err


def test_ctrl_c_in_the_rnn_gives_the_mlp_as_many_epochs(run_tiny, monkeypatch):
    interrupt(monkeypatch, rnn_sine.SimpleRNN, call=15)  # six batches an epoch
    results, out = run_tiny("--epochs", "9")
    assert "Stopped in epoch 3 of 9." in out
    assert {name: len(losses) for name, losses in results["losses"].items()} == dict.fromkeys(LOSSES, 2)


@pytest.mark.parametrize("call, epochs", [(2, 0), (9, 1)])
def test_ctrl_c_in_the_mlp_is_said(call, epochs, run_tiny, monkeypatch):
    interrupt(monkeypatch, nn.Sequential, call)
    results, out = run_tiny("--epochs", "2")
    assert ("MLP" in results["test_mse"]) == (epochs > 0)
    if epochs:
        assert "The MLP was stopped after 1 of 2 epochs." in out
        assert len(results["losses"]["MLP, test"]) == 1
    else:
        assert "The MLP is left out, because its training did not succeed." in out
        assert "MLP, test" not in results["losses"]


def test_the_mlp_has_the_hidden_size_of_the_flags(run_tiny, monkeypatch):
    sizes = []
    make = rnn_sine.mlp
    monkeypatch.setattr(rnn_sine, "mlp", lambda *size: sizes.append(size) or make(*size))
    run_tiny("--hidden-size", "7", "--seq-length", "6")
    assert sizes == [(6, 7)]


def test_the_picture_is_saved_before_it_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved = []
    monkeypatch.setattr(plt, "show", lambda: saved.append(Path("rnn_sine.png").exists()))
    rnn_sine.main(["--epochs", "1", "--n-samples", "40"])
    rnn_sine.main(["--epochs", "1", "--n-samples", "40", "--no-show"])
    assert saved == [True]
    assert plt.get_fignums() == []


def test_the_picture_shows_the_results_in_the_series_own_unit(default_run):
    results = dict(default_run[0], mean=100.0, scale=10.0, ahead_share=0.9)
    results["ahead"] = np.array([[3.0, 1.0, 4.0], [5.0, 2.0, 9.0]])
    actuals = np.tile(results["actuals"], (2, 1))  # 400, of which the last 200 are shown
    results.update(actuals=actuals, one_step={"RNN": actuals + 1})
    figure = rnn_sine.draw_results(results)
    one, many, errors, losses = figure.axes
    assert [(ax.get_xscale(), ax.get_yscale()) for ax in figure.axes] == [
        ("linear", "linear"), ("linear", "linear"), ("log", "log"), ("linear", "log")]
    own_unit = 100 + 10 * results["actuals"][-200:, 0]
    window = 100 + 10 * results["window"][:, 0]
    many_steps = 100 + 10 * results["many_steps"]
    curves = [
        (one.lines[0], 201, own_unit), (one.lines[1], 201, own_unit + 10), (one.lines[2], 401, [3, 5]),
        (many.lines[0], 0, np.append(window[-1], own_unit)), (many.lines[1], -19, window),
        (many.lines[2], 0, np.append(window[-1], many_steps)),
    ]  # fmt: skip
    for name, line in zip(PREDICTORS, errors.lines, strict=True):
        curves.append((line, 1, 10 * np.sqrt(np.mean(results["errors"][name] ** 2, axis=0))))
    for name, line in zip(LOSSES, losses.lines, strict=True):
        curves.append((line, 1, results["losses"][name]))
        assert line.get_label() == name
    for line, start, values in curves:
        assert list(line.get_xdata()) == list(range(start, start + len(values)))
        assert line.get_ydata() == pytest.approx(np.asarray(values), rel=1e-5)
    band = one.collections[0]
    assert band.get_label() == "90 % band"
    assert [segment.tolist() for segment in band.get_segments()] == [[[401, 1], [401, 4]], [[402, 2], [402, 9]]]
    plt.close(figure)


@pytest.mark.parametrize("name", ["NotoSansCJK-Regular", "wqy-zenhei", "no font"])
def test_chinese_labels_where_there_is_a_font(run_tiny, monkeypatch, caplog, name):
    fonts = [font for font in font_manager.findSystemFonts() if name in font]
    if name != "no font" and not fonts:
        pytest.skip(f"needs the font {name} (Debian: fonts-noto-cjk, fonts-wqy-zenhei)")
    figures = []
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: fonts)
    monkeypatch.setattr(plt, "close", figures.append)
    _, out = run_tiny("--lang", "zh", "--ahead", "2")  # a character without a glyph warns
    monkeypatch.undo()
    texts = {text.get_text() for text in figures[0].findobj(plt.Text)}
    plt.close(figures[0])
    labels = {text for text in texts if re.search("[a-zA-Z\u4e00-\u9fff]", text) and "math" not in text}
    chinese = {text for text in labels if re.search("[\u4e00-\u9fff]", text)}
    assert len(labels) == 25
    assert caplog.text == ""
    if fonts:
        assert labels - chinese == {"RNN"}
        assert {"样本", "值", "实际值", "预测值", "RNN模型预测结果：单步预测，以真实值为输入", "90% 预测区间"} < labels
    else:
        assert chinese == set()
        assert "No Chinese font is installed" in out


def test_the_chinese_font_is_the_first_found_of_the_list(monkeypatch):
    figure = plt.figure()
    text = figure.text(0, 0, "value")
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: ["/b/wqy-zenhei.ttc", "/a/SimHei.ttf", "/c/arial.ttf"])
    rnn_sine.label_in_chinese(figure)
    assert (text.get_text(), text.get_fontproperties().get_file()) == ("值", "/a/SimHei.ttf")
    plt.close(figure)


BAD_FLAGS = [
    (["--epochs", "0"], "argument --epochs: must be a whole number above 0, not '0'"),
    (["--batch-size", "2.5"], "whole number above 0, not '2.5'"), (["--hidden-size", "many"], "not 'many'"),
    (["--learning-rate", "nan"], "argument --learning-rate: must be a number above 0, not 'nan'"),
    (["--learning-rate", "0"], "not '0'"), (["--max-grad-norm", "0"], "not '0'"),
    (["--max-grad-norm", "inf"], "not 'inf'"), (["--n-samples", "1"], "21 values are too few"),
    (["--noise", "-0.1"], "at least 0, not -0.1"), (["--noise", "nan"], "not nan"), (["--seed", "-1"], "[Ss]eed"),
    (["--device", "toaster"], "'toaster'"), (["--device", "meta"], "'meta'"), (["--lang", "fr"], "'fr'"),
    (["--colour", "red"], "--colour"), (["--output", "no/such/a.png"], "no folder 'no/such'"),
    (["--output", "a.docx"], "'a.docx' has none of the endings .*, png, "), (["--output", "a"], "none of the endings"),
    (["--output", "a.pgf"], "none of the endings"), (["--output", "folder.png"], "cannot be written"),
]  # fmt: skip
if not torch.cuda.is_available():
    BAD_FLAGS.append((["--device", "cuda"], "'cuda'"))


@pytest.mark.parametrize("flags, words", BAD_FLAGS)
def test_bad_flags_are_refused_in_a_sentence_before_training(flags, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("folder.png").mkdir()
    with pytest.raises(SystemExit, match="2"):
        rnn_sine.main(["--no-show"] + flags)
    out, err = capsys.readouterr()
    assert out == ""
    assert os.listdir() == ["folder.png"]
    assert re.fullmatch(rf"rnn_sine\.py: error: .*{words}.*", err.splitlines()[-1])


def test_auto_takes_the_cpu_where_cuda_is_reported_but_cannot_compute(monkeypatch, capsys):
    def ones(size, device):
        if device == "cuda":
            raise RuntimeError("no kernel image is available")
        return torch.zeros(size)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", ones)
    assert rnn_sine.working_device("auto") == torch.device("cpu")
    assert "nothing can be computed on 'cuda' here, so the CPU is used" in capsys.readouterr().out
    monkeypatch.setattr(torch, "ones", lambda size, device: torch.zeros(size))
    assert rnn_sine.working_device("auto") == torch.device("cuda")


def test_a_mistake_in_the_model_shows_its_traceback(run_tiny, monkeypatch):
    class Mistaken(rnn_sine.SimpleRNN):
        def forward(self, x):
            return self.fc(x)  # the recurrent layer is forgotten

    monkeypatch.setattr(rnn_sine, "SimpleRNN", Mistaken)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        run_tiny()


def test_an_rnn_that_diverges_ends_in_a_sentence(run_tiny, capsys):
    with pytest.raises(SystemExit, match="1"):
        run_tiny("--learning-rate", "1e30", "--epochs", "5")
    assert re.fullmatch(r"rnn_sine\.py: the loss is \w+ in epoch \d: try .*\n", capsys.readouterr().err)


STATE = """if True:
    import numpy, torch, matplotlib.pyplot
    def state():
        random_states = torch.get_rng_state().tolist(), numpy.random.get_state()[1].tolist()
        return str([random_states, torch.get_num_threads(), dict.items(matplotlib.rcParams)])
    before = state()
    import rnn_sine
    assert before == state()"""


def test_importing_changes_nothing_and_prints_nothing():
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", STATE]
    assert subprocess.check_output(command, cwd=ROOT, stderr=subprocess.STDOUT) == b""


@pytest.mark.skipif(os.name == "nt", reason="needs a signal that Windows does not have")
def test_ctrl_c_in_training_still_draws_without_a_screen(tmp_path):
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND"):
        environment.pop(name, None)
    command = [sys.executable, str(ROOT / "rnn_sine.py"), "--epochs", "3000", "--n-samples", "40"]
    # A job in the background of a shell inherits that Ctrl-C is ignored; this one must not.
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    while not process.stdout.readline().startswith("Epoch"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    stopped = int(re.search(r"Stopped in epoch (\d+)", out)[1])
    assert f"Epoch [{stopped - 1}/{stopped - 1}]" in out.split("Training the MLP...")[1]
    assert "Best one step ahead" in out
    assert (tmp_path / "rnn_sine.png").exists()
