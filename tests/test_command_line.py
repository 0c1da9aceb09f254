import os
import re
import runpy
import signal
import subprocess
import sys
import time

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from conftest import ROOT
from matplotlib import font_manager
from matplotlib.text import Text

import rnn_sine

HEADLESS = {
    name: value
    for name, value in os.environ.items()
    if name not in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND", "PYTHONUNBUFFERED")
}
TINY = ["--epochs", "1", "--n-samples", "40", "--hidden-size", "4"]


def start_script(*flags, cwd, environment=HEADLESS):
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(ROOT / "rnn_sine.py"), *flags],
        cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_the_default_run_prints_the_articles_figures(default_run):
    results, out, err, picture = default_run
    assert err == ""
    losses = [line.rsplit(" ", 1)[1] for line in out.splitlines() if line.startswith("Epoch [")]
    article = [2.681e-4, 5.226e-5, 1.833e-5, 1.300e-5, 8.832e-6, 1.916e-5, 1.007e-5, 9.982e-6, 7.533e-6, 1.150e-5]
    # Processors round differently; over 100 epochs that can move a loss, but not the first tens of epochs.
    assert [float(loss) for loss in losses[:3]] == pytest.approx(article[:3], rel=0.02)
    assert len(losses) == 10
    for name, mse in results["test_mse"].items():
        assert re.search(rf"^  {name} +{mse:.3e}$", out, re.MULTILINE)
    assert "The RNN loses to linear regression" in out
    for steps in (1, 10, 50, 200):
        row = "  ".join(f"{results['largest_error'][name][steps - 1]:17.1e}" for name in results["test_mse"])
        assert re.search(rf"^ +{steps}  {re.escape(row)}$", out, re.MULTILINE)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert f"Picture: {picture}" in out
    if not torch.cuda.is_available():
        assert "Device: cpu" in out


def test_help_shows_every_flag_with_its_default(capsys):
    with pytest.raises(SystemExit) as stop:
        rnn_sine.main(["--help"])
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    defaults = {
        "--epochs": "100", "--batch-size": "32", "--learning-rate": "0.001", "--hidden-size": "64",
        "--schedule": "constant", "--max-grad-norm": "None", "--num-layers": "1", "--seq-length": "20",
        "--n-samples": "1000", "--noise": "0.0", "--seed": "42", "--device": "auto",
        "--output": "rnn_sine.png", "--lang": "en", "--no-show": "False",
    }  # fmt: skip
    for flag, default in defaults.items():
        described = text[text.rindex(flag) :].split(" --")[0]
        assert f"(default: {default})" in described, flag


def test_epochs(quick):
    assert len(quick("--epochs", 3)[0]["losses"]) == 3


def test_batch_size(quick, monkeypatch):
    sizes = []
    forward = rnn_sine.SimpleRNN.forward
    monkeypatch.setattr(rnn_sine.SimpleRNN, "forward", lambda self, x: sizes.append(len(x)) or forward(self, x))
    quick("--batch-size", 10)
    assert sizes[:4] == [10, 10, 10, 2]  # 32 training samples


def test_learning_rate(quick, monkeypatch):
    rates = []
    adam = torch.optim.Adam
    monkeypatch.setattr(torch.optim, "Adam", lambda parameters, lr: rates.append(lr) or adam(parameters, lr=lr))
    quick("--learning-rate", 0.25)
    assert rates == [0.25]


def test_schedule(quick, monkeypatch):
    rates = []
    step = torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam, "step", lambda self: rates.append(self.param_groups[0]["lr"]) or step(self)
    )
    quick("--epochs", 20, "--learning-rate", 0.5, "--schedule", "onecycle")
    assert len(rates) == 20 and max(rates) == pytest.approx(0.5, rel=0.01)
    assert rates[0] < 0.5 / 20 and rates[-1] < 0.5 / 1000
    rates.clear()
    quick("--epochs", 20, "--learning-rate", 0.5, "--schedule", "constant")
    assert rates == [0.5] * 20


def test_max_grad_norm(quick, monkeypatch):
    norms = []
    clip = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda p, norm: norms.append(norm) or clip(p, norm))
    quick()
    assert norms == []
    quick("--max-grad-norm", 0.125)
    assert norms == [0.125]


def test_noise(quick):
    clean, _ = quick()
    noisy, out = quick("--noise", 0.5)
    again, _ = quick("--noise", 0.5, "--seed", 42)
    other, _ = quick("--noise", 0.5, "--seed", 43)
    assert 0.1 < np.std(noisy["actuals"] - clean["actuals"]) < 1
    assert np.array_equal(noisy["actuals"], again["actuals"])
    assert not np.array_equal(noisy["actuals"], other["actuals"])
    assert np.array_equal(quick("--noise", 0)[0]["predictions"], clean["predictions"])
    assert "noise floor        2.500e-01" in out and "noise floor" not in quick()[1]


def test_hidden_size_and_num_layers(quick):
    rnn = quick("--hidden-size", 7, "--num-layers", 3)[0]["model"].rnn
    assert (rnn.input_size, rnn.hidden_size, rnn.num_layers) == (1, 7, 3)


def test_seq_length_and_n_samples(quick, monkeypatch):
    asked = []
    generate_data = rnn_sine.generate_data
    monkeypatch.setattr(rnn_sine, "generate_data", lambda *args: asked.append(args[:2]) or generate_data(*args))
    results, _ = quick("--seq-length", 9, "--n-samples", 50)
    assert asked == [(50, 9)] and len(results["predictions"]) == 10


def test_seed(quick):
    def weights(*flags):
        return [parameter.detach() for parameter in quick(*flags)[0]["model"].parameters()]

    assert all(map(torch.equal, weights("--seed", 7), weights("--seed", 7)))
    assert not any(map(torch.equal, weights("--seed", 7), weights("--seed", 8)))
    assert all(map(torch.equal, weights("--seed", 42), weights()))


def test_device(quick):
    results, out = quick("--device", "cpu")
    assert "Device: cpu\n" in out
    assert {parameter.device.type for parameter in results["model"].parameters()} == {"cpu"}


def test_device_auto_is_cuda_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    tried = []
    monkeypatch.setattr(torch, "zeros", lambda n, device: tried.append(device) or torch.ones(n))
    assert rnn_sine.find_device("auto") == torch.device("cuda") == tried[0]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert rnn_sine.find_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("flags, expected", [([], 1), (["--hidden-size", "256"], 2), (["--batch-size", "512"], 2)])
def test_small_networks_run_on_one_thread_and_the_caller_keeps_its_threads(tmp_path, monkeypatch, flags, expected):
    seen = []
    monkeypatch.setattr(rnn_sine, "run", lambda args: seen.append(torch.get_num_threads()))
    torch.set_num_threads(2)
    rnn_sine.main([*flags, "--no-show", "--output", str(tmp_path / "a.png")])
    after = torch.get_num_threads()
    torch.set_num_threads(1)
    assert (seen, after) == ([expected], 2)


def test_output_lies_in_the_current_folder_if_not_said_otherwise(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rnn_sine.main([*TINY, "--no-show"])
    assert [path.name for path in tmp_path.iterdir()] == ["rnn_sine.png"]
    assert capsys.readouterr().out.endswith("Picture: rnn_sine.png\n")


@pytest.mark.parametrize(
    "ending, start", [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml"), ("PNG", b"\x89PNG")]
)
def test_output_has_the_format_of_its_ending_and_equal_runs_are_equal(tmp_path, capsys, ending, start):
    paths = [tmp_path / f"{name}.{ending}" for name in "ab"]
    outs = []
    for path in paths:
        rnn_sine.main([*TINY, "--no-show", "--output", str(path)])
        outs.append(capsys.readouterr().out.replace(str(path), ""))
    contents = [path.read_bytes() for path in paths]
    assert contents[0].startswith(start)
    assert contents[0] == contents[1]
    assert outs[0] == outs[1]


@pytest.mark.parametrize("flags, shown", [([], 1), (["--no-show"], 0)])
def test_the_picture_is_shown_where_there_is_a_screen(tmp_path, monkeypatch, flags, shown):
    calls = []
    monkeypatch.setattr(plt, "show", lambda: calls.append("shown"))
    monkeypatch.setattr("matplotlib.backends.backend_agg.FigureCanvasAgg.required_interactive_framework", "tk")
    rnn_sine.main([*TINY, "--output", str(tmp_path / "a.png"), *flags])
    assert calls == ["shown"] * shown
    assert (tmp_path / "a.png").exists()


def test_main_returns_what_it_found(quick):
    results, _ = quick("--n-samples", 100, "--seq-length", 8)
    shapes = {name: results[name].shape for name in ("predictions", "actuals", "window", "forecast", "sensitivity")}
    assert shapes == {
        "predictions": (20, 1), "actuals": (20, 1), "window": (8, 1), "forecast": (20, 1), "sensitivity": (8,),
    }  # fmt: skip
    model = results["model"]
    _, test_data = rnn_sine.generate_data(100, 8)
    inputs, targets = test_data.tensors
    assert np.array_equal(results["actuals"], targets.numpy())
    assert results["predictions"] == pytest.approx(model(inputs).detach().numpy(), abs=1e-6)
    assert np.array_equal(results["window"], inputs[0].numpy())
    assert results["forecast"] == pytest.approx(rnn_sine.forecast(model, inputs[0], 20, "cpu"))
    assert results["sensitivity"] == pytest.approx(rnn_sine.input_sensitivity(model, inputs, "cpu"))
    for name, predictions in {**results["baselines"], "RNN": results["predictions"]}.items():
        assert results["test_mse"][name] == pytest.approx(
            np.mean((predictions - results["actuals"]) ** 2), rel=1e-4
        )
    error = np.abs(results["forecast"] - results["actuals"])[:, 0]
    assert results["largest_error"]["RNN"].tolist() == [error[: n + 1].max() for n in range(20)]
    error = np.abs(results["window"][-1] - results["actuals"])[:, 0]
    assert results["largest_error"]["persistence"].tolist() == [error[: n + 1].max() for n in range(20)]
    assert results["largest_error"]["linear regression"][-1] < 1e-4  # exact on a sine, also on its own predictions


def test_the_report_keeps_to_the_test_samples_there_are(quick):
    _, out = quick("--n-samples", 60)
    assert [line.split()[0] for line in out.split("largest error so far:\n")[1].splitlines()[1:-1]] == [
        "1",
        "10",
        "12",
    ]


def test_the_figure_shows_the_results_in_four_labelled_panels(default_run):
    results = default_run[0]
    figure = rnn_sine.draw_results(results)
    one_step, free_run, training, memory = figure.axes
    for panel in figure.axes:
        assert panel.get_title() and panel.get_xlabel() and panel.get_ylabel()
        assert (panel.get_legend() is not None) == (len(panel.lines) > 1)
    drawn = {line.get_label(): line for panel in figure.axes for line in panel.lines}
    assert np.array_equal(drawn["actual"].get_ydata(), results["actuals"][:50, 0])
    assert np.array_equal(drawn["predicted"].get_ydata(), results["predictions"][:50, 0])
    past, future, run = (
        drawn[f"{name}"] for name in ("past: first test window", "future: actual", "future: forecast")
    )
    assert past.get_xdata()[-1] == 0 and future.get_xdata()[0] == run.get_xdata()[0] == 1
    assert np.array_equal(past.get_ydata(), results["window"][:, 0])
    assert np.array_equal(future.get_ydata(), results["actuals"][:, 0])
    assert np.array_equal(run.get_ydata(), results["forecast"][:, 0])
    assert drawn["RNN (training)"].get_ydata().tolist() == results["losses"]
    for name in ("persistence", "linear regression"):
        assert set(drawn[f"{name} (test)"].get_ydata()) == {results["test_mse"][name]}
    assert np.array_equal(memory.lines[0].get_ydata(), results["sensitivity"])
    assert training.get_yscale() == memory.get_yscale() == "log"
    plt.close(figure)


def only_fonts(monkeypatch, families):
    """Hide from matplotlib every font but its own and those of the named families."""
    rnn_sine.chinese_font()  # registers fonts that were installed since matplotlib last looked
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: [])
    fonts = [font for font in font_manager.fontManager.ttflist if font.name in ("DejaVu Sans", *families)]
    monkeypatch.setattr("matplotlib.font_manager.fontManager.ttflist", fonts)


def drawn_texts(monkeypatch):
    """A list that fills with the texts, and a set with the font families, of the figure that main draws."""
    texts, families = [], set()
    draw_results = rnn_sine.draw_results

    def draw(*args):
        figure = draw_results(*args)
        figure.canvas.draw()  # tick labels get their text when they are drawn
        for text in figure.findobj(Text):
            texts.append(text.get_text())
            families.update(text.get_fontfamily())
        return figure

    monkeypatch.setattr(rnn_sine, "draw_results", draw)
    return texts, families


def chinese(text):
    return any("\u4e00" <= character <= "\u9fff" for character in text)


@pytest.mark.parametrize("family", ["Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei"])
def test_chinese_labels_have_an_installed_font(tmp_path, monkeypatch, capsys, caplog, family):
    only_fonts(monkeypatch, [family])
    if rnn_sine.chinese_font() is None:
        pytest.skip(f"needs the font {family} (Debian: fonts-noto-cjk, fonts-wqy-zenhei)")
    texts, families = drawn_texts(monkeypatch)
    settings = dict(plt.rcParams)
    rnn_sine.main([*TINY, "--noise", "0.1", "--lang", "zh", "--no-show", "--output", str(tmp_path / "a.png")])
    captured = capsys.readouterr()
    assert captured.err == "" and caplog.text == ""  # no character without a glyph, no weight that the font lacks
    assert captured.out.splitlines()[1] == "开始训练模型..." and "评估模型..." in captured.out.splitlines()
    assert {"RNN模型预测结果", "样本", "值", "实际值", "预测值"} <= set(texts)
    assert families == {family}
    assert dict(plt.rcParams) == settings


def test_without_a_chinese_font_the_labels_are_english(tmp_path, monkeypatch, capsys, caplog):
    only_fonts(monkeypatch, [])
    texts, _ = drawn_texts(monkeypatch)
    rnn_sine.main([*TINY, "--lang", "zh", "--no-show", "--output", str(tmp_path / "a.png")])
    captured = capsys.readouterr()
    assert captured.err == "" and caplog.text == ""
    assert "开始训练模型..." in captured.out.splitlines()
    (advice,) = [line for line in captured.out.splitlines() if "fonts-noto-cjk" in line]
    assert advice.count("。") == 1
    assert "One step ahead, each from true values" in texts and not any(map(chinese, texts))


def test_a_font_that_was_installed_since_matplotlib_last_looked_is_found(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: ["/fonts/broken.ttf", "/fonts/new.ttc"])
    monkeypatch.setattr("matplotlib.font_manager.fontManager.ttflist", [])

    def add_font(path):
        asked.append(path)
        if "broken" in path:
            raise RuntimeError("not a font")
        (tmp_path / "new.ttc").touch()
        font_manager.fontManager.ttflist.append(
            font_manager.FontEntry(fname=str(tmp_path / "new.ttc"), name="WenQuanYi Zen Hei", weight=500)
        )

    monkeypatch.setattr("matplotlib.font_manager.fontManager.addfont", add_font)
    font = rnn_sine.chinese_font()
    assert (font["font.family"], font["font.weight"], font["axes.titleweight"]) == ("WenQuanYi Zen Hei", 500, 500)
    for weight in (700, 450, 300):
        font_manager.fontManager.ttflist.append(
            font_manager.FontEntry(fname=str(tmp_path / "new.ttc"), name="WenQuanYi Zen Hei", weight=weight)
        )
    assert rnn_sine.chinese_font()["font.weight"] == 450
    (tmp_path / "new.ttc").unlink()
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: [])
    assert rnn_sine.chinese_font() is None  # removed since matplotlib last looked
    assert set(asked) == {"/fonts/broken.ttf", "/fonts/new.ttc"}


def test_every_translation_is_used_and_has_characters_of_gbk(quick, monkeypatch):
    used = set()

    def translate(text):
        used.add(text)
        return rnn_sine.CHINESE[text]

    results, _ = quick("--noise", 0.1)
    monkeypatch.undo()  # draw the real figure
    plt.close(rnn_sine.draw_results(results, lambda text: used.add(text) or str(text)))
    for rnn in (0.5, 2.0):
        results["test_mse"] = {"persistence": 3.0, "linear regression": 1.0, "RNN": rnn}
        rnn_sine.report(results, 0.1, translate)
    printed = {"Training the model...", "Evaluating the model...", "Picture: {}"}
    assert used | printed == set(rnn_sine.CHINESE)
    for translation in rnn_sine.CHINESE.values():
        translation.encode("gbk")


BAD_INPUT = [
    ("--epochs", "0"), ("--epochs", "2.5"), ("--epochs", "many"), ("--batch-size", "0"), ("--batch-size", "-3"),
    ("--learning-rate", "0"), ("--learning-rate", "-0.1"), ("--learning-rate", "-1e-3"), ("--learning-rate", "nan"),
    ("--learning-rate", "inf"), ("--learning-rate", "-inf"), ("--learning-rate", "fast"), ("--hidden-size", "0"),
    ("--learning-rate", "1e38"), ("--noise", "1e39"), ("--device", "privateuseone"), ("--output", "pipe.png"),
    ("--hidden-size", "999999999"), ("--num-layers", "0"), ("--seq-length", "0"), ("--n-samples", "1"),
    ("--n-samples", "0"), ("--n-samples", "9" * 30), ("--noise", "-0.1"), ("--noise", "nan"), ("--schedule", "linear"),
    ("--max-grad-norm", "0"), ("--max-grad-norm", "inf"), ("--seed", "-1"), ("--seed", str(2**32)), ("--device", "toaster"),
    ("--device", "meta"), ("--device", ""), ("--output", "no/such/folder/a.png"), ("--output", "a.docx"),
    ("--output", "a"), ("--output", ""), ("--output", "."), ("--output", "folder.png"), ("--lang", "fr"), ("--colour", "red"),
]  # fmt: skip


@pytest.mark.parametrize("flag, value", BAD_INPUT)
def test_bad_input_is_refused_in_one_sentence_before_training(flag, value, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(SystemExit) as stop:
        rnn_sine.main([*TINY, "--no-show", flag, value])
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1 and captured.err.endswith("\n")
    assert flag in captured.err and value in captured.err
    assert {path.name for path in tmp_path.iterdir()} == {"folder.png", "pipe.png"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_that_is_asked_for_and_absent_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        rnn_sine.main([*TINY, "--device", "cuda"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        "rnn_sine.py: argument --device: 'cuda' is not a device that torch can use on this machine; "
        "take auto or cpu (see --help)\n"
    )


def test_the_check_of_the_output_leaves_an_older_picture_alone(tmp_path, monkeypatch):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"an older picture")
    assert rnn_sine.try_picture(str(picture)) == str(picture)
    assert picture.read_bytes() == b"an older picture"
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "b.png")
    assert rnn_sine.try_picture(str(link)) == str(link)
    assert link.is_symlink() and not link.exists()


def test_nothing_learnt_is_lost_if_the_picture_cannot_be_saved(quick, capsys, monkeypatch):
    def full_disk(self, path, **_):
        raise OSError(28, "No space left on device")

    parse = rnn_sine.OneSentenceParser.parse_args

    def parse_then_fill_the_disk(self, argv):
        args = parse(self, argv)
        monkeypatch.setattr("matplotlib.figure.Figure.savefig", full_disk)
        return args

    monkeypatch.setattr(rnn_sine.OneSentenceParser, "parse_args", parse_then_fill_the_disk)
    with pytest.raises(SystemExit) as stop:
        quick()
    captured = capsys.readouterr()
    assert stop.value.code == 1
    assert "Test MSE" in captured.out
    assert captured.err.count("\n") == 1 and "No space left on device" in captured.err


def test_a_diverging_run_ends_with_a_sentence(quick, capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        quick("--learning-rate", "1e30", "--epochs", 5)
    captured = capsys.readouterr()
    assert stop.value.code == 1
    assert captured.err.count("\n") == 1
    assert "in epoch" in captured.err and "smaller learning rate" in captured.err
    assert not list(tmp_path.iterdir())


def test_a_training_that_ends_with_broken_weights_is_an_error_too(quick, capsys, monkeypatch):
    def interrupted(model, *_):  # by Ctrl-C, in an epoch whose loss nobody has seen
        torch.nn.init.constant_(model.fc.bias, float("nan"))
        return []

    monkeypatch.setattr(rnn_sine, "train_model", interrupted)
    with pytest.raises(SystemExit) as stop:
        quick()
    assert stop.value.code == 1
    assert capsys.readouterr().err.endswith("weights; try a smaller learning rate\n")


def test_a_blind_network_is_drawn_without_a_warning(default_run, tmp_path):
    figure = rnn_sine.draw_results(default_run[0] | {"sensitivity": np.zeros(20, dtype=np.float32)})
    figure.savefig(tmp_path / "a.eps")  # a format without transparency
    plt.close(figure)


def test_importing_changes_nothing_for_the_caller():
    code = """
import json, random, sys
import numpy, torch, matplotlib
def state():
    return [torch.get_rng_state().tolist(), numpy.random.get_state()[1].tolist(), torch.get_num_threads(),
            torch.get_default_dtype() == torch.float32, random.getstate()[1][:5],
            {k: str(v) for k, v in dict.items(matplotlib.rcParams)}]
before = state()
import rnn_sine
assert json.dumps(before) == json.dumps(state())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=HEADLESS, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_backend_that_needs_a_screen_does_no_harm_without_one(tmp_path):
    script = start_script(*TINY, cwd=tmp_path, environment=HEADLESS | {"MPLBACKEND": "TkAgg"})
    out, err = script.communicate()
    assert (script.returncode, err) == (0, "")
    assert (tmp_path / "rnn_sine.png").exists()


def test_a_backend_that_is_not_installed_does_no_harm(tmp_path, monkeypatch, capsys):
    figure, switched = plt.figure, []

    def missing(*args, **kwargs):
        if not switched:
            raise ImportError("Failed to import any of the following Qt binding modules")
        return figure(*args, **kwargs)

    monkeypatch.setattr(plt, "figure", missing)
    monkeypatch.setattr(plt, "switch_backend", switched.append)
    rnn_sine.main([*TINY, "--output", str(tmp_path / "a.png")])
    assert switched == ["agg"] and (tmp_path / "a.png").exists() and capsys.readouterr().err == ""


def test_ctrl_c_during_training_evaluates_and_draws_without_a_screen(tmp_path):
    script = start_script("--epochs", "10000", "--n-samples", "40", "--hidden-size", "4", cwd=tmp_path)
    for line in script.stdout:
        if line.startswith("Epoch [1000/10000]"):
            break
    script.send_signal(signal.SIGINT)
    out, err = script.communicate(timeout=60)
    assert (script.returncode, err) == (0, "")
    assert "Stopped by Ctrl-C in epoch" in out and "Test MSE" in out
    assert (tmp_path / "rnn_sine.png").exists()


@pytest.mark.parametrize("seconds", [0.2, 0.8])
def test_ctrl_c_while_the_libraries_load_ends_quietly(tmp_path, seconds):
    script = start_script(cwd=tmp_path)
    time.sleep(seconds)
    script.send_signal(signal.SIGINT)
    assert script.communicate(timeout=60) == ("", "")
    assert script.returncode == 130


def test_ctrl_c_outside_training_ends_with_130(monkeypatch, capsys, tmp_path):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["rnn_sine.py", *TINY, "--no-show", "--output", str(tmp_path / "a.png")])
    monkeypatch.setattr(np.linalg, "lstsq", interrupt)  # the evaluation calls it, the training does not
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "rnn_sine.py"), run_name="__main__")
    signal.signal(signal.SIGINT, handler)
    assert stop.value.code == 130
    captured = capsys.readouterr()
    assert "Evaluating" in captured.out and captured.err == ""
