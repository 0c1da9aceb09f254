import os
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

import rnn_sine

HEADLESS = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")}
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
    assert f"{results['test_mse']:.3e}" in out
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
        "--num-layers": "1", "--seq-length": "20", "--n-samples": "1000", "--seed": "42", "--device": "auto",
        "--output": "rnn_sine.png", "--no-show": "False",
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
    assert rnn_sine.usable_device("auto") == torch.device("cuda") == tried[0]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert rnn_sine.usable_device("auto") == torch.device("cpu")


def test_output_lies_in_the_current_folder_if_not_said_otherwise(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rnn_sine.main([*TINY, "--no-show"])
    assert [path.name for path in tmp_path.iterdir()] == ["rnn_sine.png"]
    assert capsys.readouterr().out.endswith("Picture: rnn_sine.png\n")


@pytest.mark.parametrize("ending, start", [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml"), ("PNG", b"\x89PNG")])
def test_output_has_the_format_of_its_ending_and_equal_runs_are_equal(quick, tmp_path, ending, start):
    paths = [tmp_path / f"{name}.{ending}" for name in "ab"]
    outs = [quick("--output", path)[1].replace(str(path), "") for path in paths]
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


BAD_INPUT = [
    ("--epochs", "0"), ("--epochs", "2.5"), ("--epochs", "many"), ("--batch-size", "0"), ("--batch-size", "-3"),
    ("--learning-rate", "0"), ("--learning-rate", "-0.1"), ("--learning-rate", "-1e-3"), ("--learning-rate", "nan"),
    ("--learning-rate", "inf"), ("--learning-rate", "-inf"), ("--learning-rate", "fast"), ("--hidden-size", "0"),
    ("--hidden-size", "999999999"), ("--num-layers", "0"), ("--seq-length", "0"), ("--n-samples", "1"),
    ("--n-samples", "0"), ("--n-samples", "9" * 30), ("--seed", "-1"), ("--seed", str(2**32)), ("--device", "toaster"),
    ("--device", "meta"), ("--device", ""), ("--output", "no/such/folder/a.png"), ("--output", "a.docx"),
    ("--output", "a"), ("--output", ""), ("--output", "."), ("--output", "folder.png"), ("--colour", "red"),
]  # fmt: skip


@pytest.mark.parametrize("flag, value", BAD_INPUT)
def test_bad_input_is_refused_in_one_sentence_before_training(flag, value, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(SystemExit) as stop:
        rnn_sine.main([*TINY, "--no-show", flag, value])
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1 and captured.err.endswith("\n")
    assert flag in captured.err and value in captured.err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_that_is_asked_for_and_absent_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        rnn_sine.main([*TINY, "--device", "cuda"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        "rnn_sine.py: argument --device: torch cannot use 'cuda' on this machine; take auto or cpu (see --help)\n"
    ).replace("rnn_sine.py", rnn_sine.make_parser().prog)


def test_the_check_of_the_output_leaves_an_older_picture_alone(tmp_path, monkeypatch):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"an older picture")
    assert rnn_sine.writable_picture(str(picture)) == str(picture)
    assert picture.read_bytes() == b"an older picture"


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
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["rnn_sine.py", *TINY, "--no-show", "--output", str(tmp_path / "a.png")])
    monkeypatch.setattr(np, "concatenate", interrupt)  # the evaluation calls it, the training does not
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "rnn_sine.py"), run_name="__main__")
    assert stop.value.code == 130
    captured = capsys.readouterr()
    assert "Evaluating" in captured.out and captured.err == ""
