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
from conftest import ROOT, TESTS
from matplotlib import font_manager

import rnn_sine

LADDER = ["persistence", "linear regression", "dense network", "RNN", "stateful RNN"]


def test_the_default_run_is_the_articles(default_run):
    results, out, picture = default_run
    losses = [float(loss) for loss in re.findall(r"^Epoch .* (\S+)$", out.split("dense")[0], re.MULTILINE)]
    # Processors round differently; over 100 epochs that can move a loss, but not the first tens.
    assert losses[:3] == pytest.approx([2.681e-4, 5.226e-5, 1.833e-5], rel=0.02)
    assert len(losses) == 10
    test_mse = results["test_mse"]
    assert test_mse["persistence"] == pytest.approx(4.663e-4, rel=1e-3)
    assert test_mse["linear regression"] < 1e-12 < test_mse["dense network"] < test_mse["persistence"]
    assert out.startswith("Device: cpu\n")
    assert out.endswith(f"linear regression, so no network is needed.\nPicture: {picture}\n")


def test_the_table_has_a_row_for_each_predictor_under_its_headings(default_run):
    results, out, _ = default_run
    table = out[out.index("predictor ") :].splitlines()
    assert table[0].split() == ["predictor", "MSE", "1", "10", "50", "200", "steps"]
    heading = table[0].removesuffix(" steps")
    for name, row in zip(LADDER, table[1:]):
        errors = abs(results["free_run"][name] - results["actuals"])
        cells = [f"{results['test_mse'][name]:.3e}"]
        for steps in (1, 10, 50, 200):
            cells.append(f"{errors[:steps].max():.1e}")
        assert row.startswith(name + "  ")
        assert row.split()[-5:] == cells
        assert len(row) == len(heading)


def test_main_returns_what_it_found(default_run):
    results = default_run[0]
    _, test_data = rnn_sine.generate_data()
    inputs, targets = test_data.tensors
    assert list(results["test_mse"]) == LADDER
    for name, mse in results["test_mse"].items():
        errors = results["one_step"][name] - targets.numpy()
        assert mse == pytest.approx(np.mean(errors**2), rel=1e-3, abs=1e-12)
    expected = results["model"](inputs).detach().numpy()
    assert results["one_step"]["RNN"] == pytest.approx(expected, abs=1e-6)
    assert len(results["losses"]) == 100


def test_the_sunspots_are_read_compared_and_scaled_back(run_tiny):
    results, out = run_tiny(f"--series {TESTS / 'sunspots.csv'}")
    table = np.loadtxt(TESTS / "sunspots.csv", delimiter=",", skiprows=1)
    actuals = results["mean"] + results["scale"] * results["actuals"][:, 0]
    assert actuals == pytest.approx(table[-61:, 1], abs=1e-4)  # 0.8 of 304 samples train
    scale = table[:-61, 1].std()
    assert f"\nerrors in units of {scale:.4g}, the training part's standard deviation\n" in out


def test_noise_adds_a_row_with_the_variance_below_which_nobody_gets(run_tiny):
    _, out = run_tiny("--noise 0.5 --output A.PDF")
    assert re.search(r"^noise variance +2\.500e-01 ", out, re.MULTILINE)
    assert Path("A.PDF").read_bytes().startswith(b"%PDF")
    assert os.listdir() == ["A.PDF"]


@pytest.mark.parametrize("best, meaning", [("persistence", "nothing was learnt"), ("stateful RNN", "memory beyond")])
def test_the_last_line_names_the_best_and_what_it_means(best, meaning, capsys):
    results = {"actuals": np.zeros((3, 1)), "scale": 1}
    results["free_run"] = dict.fromkeys(LADDER, np.ones((3, 1)))
    results["test_mse"] = dict.fromkeys(LADDER, 2.0)
    results["test_mse"][best] = 1.0
    rnn_sine.report(results, noise=0)
    assert f"\nBest one step ahead in this run: {best}, so {meaning}" in capsys.readouterr().out


def test_the_dense_network_is_trained_like_the_rnn_and_may_fail(run_tiny, monkeypatch):
    calls = []

    def train_as_told(model, train_data, epochs, args):
        calls.append((epochs, len(train_data), args.epochs))
        if len(calls) == 2:
            raise FloatingPointError("loss nan in epoch 1")
        return [1.0, 0.5]  # as if Ctrl-C had come in the third epoch

    monkeypatch.setattr(rnn_sine, "train_as_told", train_as_told)
    results, out = run_tiny("--epochs 9")
    assert calls == [(9, 32, 9), (2, 32, 9)]
    assert "The dense network is left out: loss nan in epoch 1\n" in out
    assert "dense network" not in results["test_mse"]


def test_the_picture_is_saved_before_it_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved = []
    monkeypatch.setattr(plt, "show", lambda: saved.append(Path("rnn_sine.png").exists()))
    rnn_sine.main(["--epochs", "1", "--n-samples", "40"])
    rnn_sine.main(["--epochs", "1", "--n-samples", "40", "--no-show"])
    assert saved == [True]


def test_the_figure_shows_200_steps_in_four_panels(default_run):
    results = dict(default_run[0])
    results["actuals"] = np.tile(results["actuals"], (2, 1))  # of 400 steps, 200 are drawn
    for key in ("one_step", "free_run"):
        results[key] = {"RNN": np.tile(results[key]["RNN"], (2, 1))}
    figure = rnn_sine.draw_results(results)
    one_step, free_run, training, gradient = [ax.lines for ax in figure.axes]
    curves = [
        (one_step[0], 0, results["actuals"][:200]),
        (one_step[1], 0, results["one_step"]["RNN"][:200]),
        (free_run[0], -19, results["window"]),
        (free_run[1], 1, results["actuals"][:200]),
        (free_run[2], 1, results["free_run"]["RNN"][:200]),
        (training[5], 1, results["losses"]),
        (gradient[0], -19, results["sensitivity"]),
    ]
    for line, start, values in curves:
        assert line.get_xdata()[0] == start
        assert np.array_equal(line.get_ydata(), np.ravel(values))
    for line, (name, mse) in zip(training, results["test_mse"].items()):
        assert line.get_label() == f"{name}, test"
        assert line.get_ydata() == [mse, mse]
    plt.close(figure)


@pytest.mark.parametrize("name", ["NotoSansCJK-Regular", "wqy-zenhei", "no font"])
def test_chinese_labels_where_there_is_a_font(run_tiny, monkeypatch, caplog, name):
    fonts = [font for font in font_manager.findSystemFonts() if name in font]
    if name != "no font" and not fonts:
        pytest.skip(f"needs the font {name} (Debian: fonts-noto-cjk, fonts-wqy-zenhei)")
    figures = []
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: fonts)
    monkeypatch.setattr(plt, "close", figures.append)
    _, out = run_tiny("--lang zh")  # a character without a glyph warns
    monkeypatch.undo()
    texts = {text.get_text() for text in figures[0].findobj(plt.Text)}
    plt.close(figures[0])
    labels = {text for text in texts if re.search("[a-zA-Z\u4e00-\u9fff]", text) and "math" not in text}
    chinese = {text for text in labels if re.search("[\u4e00-\u9fff]", text)}
    assert len(labels) == 21
    assert caplog.text == ""
    if fonts:
        assert chinese == labels
        assert {"样本", "值", "实际值", "预测值", "RNN模型预测结果：单步，以真实值为输入"} < labels
    else:
        assert chinese == set()
        assert "labels stay English. 未安装中文字体" in out


BAD_FILES = {
    "short": "1\n2\n", "empty": "", "blank": "\n\n", "words": "one\n" * 99, "spaces": "1 2\n" * 99,
    "flat": "0.1\n" * 99, "nan": "1\n2\n" * 99 + "nan", "infinite": "1\n-inf\n" * 99, "gap": "1\n2\n\n4\n" * 99,
    "missing": "1,2\n3,\n" * 99, "ragged": "1,2\n3\n" * 99,
}  # fmt: skip
NAMED_ROWS = {"words": 2, "spaces": 2, "nan": 199, "infinite": 2, "gap": 3, "missing": 2, "ragged": 2}
BAD_FLAGS = [
    "--epochs 0", "--batch-size 2.5", "--learning-rate nan", "--learning-rate 0", "--max-grad-norm 0",
    "--max-grad-norm inf", "--hidden-size many", "--n-samples 1", "--noise -0.1", "--noise nan", "--seed -1",
    "--device toaster", "--device meta", "--lang fr", "--colour red", "--output no/such/folder/a.png",
    "--output a.docx", "--output a", "--output folder.png", "--series missing.csv", "--series folder.png",
    "--series good --n-samples 1000", "--series good --noise 0.1", "--series good --seq-length 99",
]  # fmt: skip
BAD_FLAGS += [f"--series {name}" for name in BAD_FILES]
BAD_FLAGS += ["--device cuda"] * (not torch.cuda.is_available())


@pytest.mark.parametrize("flags", BAD_FLAGS)
def test_bad_input_is_refused_in_a_sentence_before_training(flags, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("folder.png").mkdir()
    Path("good").write_text("1\n2\n" * 40)
    for name, text in BAD_FILES.items():
        Path(name).write_text(text)
    files = sorted(os.listdir())
    with pytest.raises(SystemExit, match="2"):
        rnn_sine.main(["--no-show"] + flags.split())
    out, err = capsys.readouterr()
    assert out == ""
    assert sorted(os.listdir()) == files
    sentence = err.splitlines()[-1]
    assert re.fullmatch(r"rnn_sine\.py: error: \S+ .{9,}", sentence)
    row = NAMED_ROWS.get(flags.split("--series ")[-1], "")
    assert f"row {row}".rstrip() in sentence or not row


def test_a_mistake_in_the_model_shows_its_traceback(run_tiny, monkeypatch):
    class Mistaken(rnn_sine.SimpleRNN):
        def forward(self, x):
            return self.fc(x)  # the recurrent layer is forgotten

    monkeypatch.setattr(rnn_sine, "SimpleRNN", Mistaken)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        run_tiny()


def test_a_diverging_rnn_ends_in_a_sentence(run_tiny, capsys):
    with pytest.raises(SystemExit, match="1"):
        run_tiny("--learning-rate 1e30 --epochs 5")
    assert re.fullmatch(r"rnn_sine\.py: loss \w+ in epoch \d: try .*\n", capsys.readouterr().err)


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


def test_ctrl_c_in_training_still_draws_without_a_screen(tmp_path):
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND"):
        environment.pop(name, None)
    command = [sys.executable, str(ROOT / "rnn_sine.py"), "--epochs", "3000", "--n-samples", "40"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not process.stdout.readline().startswith("Epoch"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    stopped = int(re.search(r"Stopped in epoch (\d+)", out)[1])
    assert f"Epoch [{stopped - 1}/{stopped - 1}]" in out.split("dense network...")[1]
    assert "Best one step ahead" in out
    assert (tmp_path / "rnn_sine.png").exists()
