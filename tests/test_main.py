import os
import re
import signal
import sys
from pathlib import Path
from subprocess import PIPE, Popen

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from conftest import ROOT
from matplotlib import font_manager

import rnn_sine

PREDICTORS = ["persistence", "linear regression", "RNN"]


def test_the_default_run_prints_the_articles_figures_and_its_own(default_run):
    results, out, picture = default_run
    losses = [float(loss) for loss in re.findall(r"^Epoch .* (\S+)$", out, re.MULTILINE)]
    # Processors round differently; over 100 epochs that can move a loss, but not the first tens.
    assert losses[:3] == pytest.approx([2.681e-4, 5.226e-5, 1.833e-5], rel=0.02) and len(losses) == 10
    assert "largest error to step 1 10 50 200\n" in out and "noise" not in out
    for name in PREDICTORS:
        errors = abs(results["free_run"][name] - results["actuals"])
        cells = [f"{results['test_mse'][name]:.3e}", *(f"{errors[:n].max():.1e}" for n in (1, 10, 50, 200))]
        assert [name.split()[-1], *cells] in [line.split()[-6:] for line in out.splitlines()]
    assert results["test_mse"]["linear regression"] < 1e-14 and errors[-1] > 0.5  # those of the RNN
    assert abs(results["free_run"]["linear regression"] - results["actuals"]).max() < 1e-5
    assert "the RNN loses to linear regression.\n" in out
    assert out.startswith("Device: cpu\n") and out.endswith(f"Picture: {picture}\n")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_main_returns_what_it_found(default_run):
    (results, *_), (train_data, test_data) = default_run, rnn_sine.generate_data()
    (inputs, targets), model = test_data.tensors, results["model"]
    assert np.array_equal(results["actuals"], targets) and np.array_equal(results["window"], inputs[0])
    predictors = rnn_sine.Persistence(), rnn_sine.linear_regression(train_data), model
    for name, predictor in zip(PREDICTORS, predictors, strict=True):
        one_step, free_run = results["one_step"][name], results["free_run"][name]
        assert one_step == pytest.approx(predictor(inputs).detach().numpy(), abs=1e-5)
        assert free_run[:9] == pytest.approx(rnn_sine.forecast(predictor, inputs[0], 9, "cpu"), abs=1e-5)
        assert results["test_mse"][name] == pytest.approx(np.mean((one_step - targets.numpy()) ** 2))
    sensitivity = rnn_sine.input_sensitivity(model, inputs, "cpu")
    assert results["sensitivity"] == pytest.approx(sensitivity, rel=1e-4)
    assert (results["mean"], results["scale"]) == (0, 1)


def test_a_series_takes_the_place_of_the_sine_and_can_be_scaled_back(tiny):
    series = 100 + 30 * np.random.default_rng(0).normal(size=60)
    np.savetxt("a.txt", series)
    results, out = tiny("--series", "a.txt", size="--seq-length 5 ")
    actuals = results["mean"] + results["scale"] * results["actuals"][:, 0]
    assert actuals == pytest.approx(series[49:], rel=1e-5)  # 0.8 of 55 samples train, 44 after 5
    assert out.count(f"\nin units of {results['scale']:.3g} ") == 1 and len(results["losses"]) == 1
    results, out = tiny("--series", "a.txt", "--noise", 15, size="--seq-length 5 ")
    assert f" {(15 / results['scale']) ** 2:.3e} " in out.split("\nnoise variance ")[1]
    assert "largest error to step 1 10 11\n" in out  # there are only 11 test samples


def test_the_verdict_names_the_best_predictor(capsys):
    truth = {"actuals": np.zeros((3, 1)), "scale": 1, "free_run": dict.fromkeys(PREDICTORS, np.ones((3, 1)))}
    for best, verdict in zip(PREDICTORS, ["loses to persistence", "loses to linear regression", "beats the"]):
        rnn_sine.report(truth | {"test_mse": {name: 2 - (name == best) for name in PREDICTORS}}, 0)
        assert f"One step ahead, the RNN {verdict}" in capsys.readouterr().out


def test_the_defaults_are_the_articles():
    assert vars(rnn_sine.make_parser().parse_args([])) == {
        "epochs": 100, "batch_size": 32, "learning_rate": 0.001, "schedule": "constant", "seed": 42,
        "max_grad_norm": None, "hidden_size": 64, "num_layers": 1, "seq_length": 20, "n_samples": 1000,
        "series": None, "noise": 0, "device": "auto", "output": Path("rnn_sine.png"), "lang": "en", "no_show": False,
    }  # fmt: skip


def test_the_caller_keeps_its_threads(tiny):
    torch.set_num_threads(2)
    tiny("--device", "cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert threads == 2


@pytest.mark.parametrize("name, start", [("a.pdf", b"%PDF"), ("A.PNG", b"\x89PNG"), (None, b"\x89PNG")])
def test_equal_runs_print_the_same_and_leave_one_equal_picture(tiny, name, start):
    flags, path = (["--output", name], Path(name)) if name else ([], Path("rnn_sine.png"))
    outs, pictures = zip(*[(tiny(*flags)[1], path.read_bytes()) for _ in range(2)])
    assert outs[0] == outs[1] and outs[0].endswith(f"Picture: {path}\n")
    assert pictures[0].startswith(start) and (name == "a.pdf" or pictures[0] == pictures[1])
    assert os.listdir() == [path.name] and not plt.get_fignums()


def test_the_picture_is_saved_before_it_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calls = []
    monkeypatch.setattr(plt, "show", lambda: calls.append(Path("rnn_sine.png").exists()))
    for flags in ([], ["--no-show"]):
        rnn_sine.main(["--epochs", "1", "--n-samples", "40", *flags])
    assert calls == [True]


def test_the_figure_shows_200_steps_in_four_labelled_panels(default_run):
    results = dict(default_run[0])
    steps, past = range(200), range(-19, 1)
    curves = {
        (0, "actual"): zip(steps, results["actuals"][:, 0]),
        (0, "predicted"): zip(steps, results["one_step"]["RNN"][:, 0]),
        (1, "first test window"): zip(past, results["window"][:, 0]),
        (1, "actual"): enumerate(results["actuals"][:, 0], 1),
        (1, "forecast"): enumerate(results["free_run"]["RNN"][:, 0], 1),
        (2, "RNN, training"): enumerate(results["losses"], 1),
        (3, "mean over the test windows"): zip(past, results["sensitivity"]),
    } | {(2, f"{name}, test"): enumerate([mse, mse]) for name, mse in results["test_mse"].items()}
    results["actuals"] = np.tile(results["actuals"], (2, 1))  # of 400 steps, 200 are drawn
    for key in ("one_step", "free_run"):
        results[key] = {name: np.tile(values, (2, 1)) for name, values in results[key].items()}
    figure, drawn = rnn_sine.draw_results(results), {}
    for number, panel in enumerate(figure.axes):
        assert panel.get_title() and panel.get_xlabel() and panel.get_ylabel() and panel.get_legend()
        drawn |= {(number, line.get_label()): line.get_xydata().tolist() for line in panel.lines}
    assert drawn == {key: [[x, y] for x, y in pairs] for key, pairs in curves.items()}
    assert [panel.get_yscale() for panel in figure.axes] == ["linear", "linear", "log", "log"]
    plt.close(figure)


@pytest.mark.parametrize("name", ["NotoSansCJK-Regular", "wqy-zenhei", None])
def test_chinese_labels_where_there_is_a_font(tiny, monkeypatch, caplog, name):
    fonts = [font for font in font_manager.findSystemFonts() if name and name in font]
    if name and not fonts:
        pytest.skip(f"needs the font {name} (Debian: fonts-noto-cjk, fonts-wqy-zenhei)")
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: fonts)
    figures, draw_results = [], rnn_sine.draw_results
    monkeypatch.setattr(rnn_sine, "draw_results", lambda r: figures.append(draw_results(r)) or figures[0])
    _, out = tiny("--lang", "zh")  # a character without a glyph warns
    texts = {text.get_text() for text in figures[0].findobj(plt.Text)}
    labels = {text for text in texts if re.search("[a-zA-Z\u4e00-\u9fff]", text) and "math" not in text}
    chinese = {text for text in labels if re.search("[\u4e00-\u9fff]", text)}
    assert len(labels) == 19 and not caplog.text and "Evaluating the model...\n" in out
    assert out.count("No Chinese font is installed") == (not name) and chinese == (labels if name else set())
    assert {"RNN模型预测结果", "样本", "值", "实际值", "预测值"} <= labels or not name


BAD_INPUT = [
    "--epochs 0", "--batch-size 2.5", "--learning-rate nan", "--max-grad-norm 0", "--hidden-size many",
    "--n-samples 1", "--noise -0.1", "--seed -1", "--device toaster", "--lang fr", "--colour red",
    "--output no/such/folder/a.png", "--output a.docx", "--output a", "--output folder.png",
    "--series missing", "--series folder.png", "--series short --n-samples 1000",
]  # fmt: skip
BAD_FILES = {
    "short": "1\n2\n", "empty": "", "words": "one\n" * 99, "table": "1 2\n" * 99, "flat": "0.1\n" * 99,
    "nan": "1\n2\n" * 99 + "nan", "infinite": "1\n-inf\n" * 99,
}  # fmt: skip
BAD_INPUT += [f"--series {name}" for name in BAD_FILES]


@pytest.mark.parametrize("flags", BAD_INPUT + ["--device cuda"] * (not torch.cuda.is_available()))
def test_bad_input_is_refused_in_a_sentence_before_training(flags, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("folder.png").mkdir()
    for name, text in BAD_FILES.items():
        Path(name).write_text(text)
    with pytest.raises(SystemExit, match="2"):
        rnn_sine.main(["--no-show", *flags.split()])
    out, err = capsys.readouterr()
    assert out == "" and sorted(os.listdir()) == sorted(["folder.png", *BAD_FILES])
    assert re.fullmatch(r"rnn_sine\.py: error: \S+ .{9,}", err.splitlines()[-1])


def test_a_diverging_run_ends_with_a_sentence(tiny, capsys):
    with pytest.raises(SystemExit, match="1"):
        tiny("--learning-rate", "1e30", "--epochs", 5)
    assert re.fullmatch(r"rnn_sine\.py: loss \w+ in epoch \d: try .*\n", capsys.readouterr().err)
    assert os.listdir() == []


def test_importing_changes_nothing_and_ctrl_c_in_training_still_draws_without_a_screen(tmp_path):
    code = """if True:
        import runpy, sys, numpy, torch, matplotlib.pyplot
        def state():
            return str([torch.get_rng_state().tolist(), numpy.random.get_state()[1].tolist(),
                        torch.get_num_threads(), dict.items(matplotlib.rcParams)])
        before = state()
        import rnn_sine
        assert before == state()
        sys.argv += "--epochs 10000 --n-samples 40 --hidden-size 4".split()
        runpy.run_path(rnn_sine.__file__, run_name="__main__")"""
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")
    environment = {k: v for k, v in os.environ.items() if k not in hidden} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-u", "-c", code]
    process = Popen(command, cwd=tmp_path, env=environment, stdout=PIPE, stderr=PIPE, text=True)
    assert any(line.startswith("Epoch [1000/10000]") for line in process.stdout)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "") and (tmp_path / "rnn_sine.png").exists()
    assert "Stopped in epoch" in out and "one-step MSE" in out
