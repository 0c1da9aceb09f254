import os
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image  # comes with matplotlib

import rnn_sine

README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTIONS = {section.splitlines()[0]: section for section in README.split("\n## ")[1:]}
NUMBER = r"\d\.\d+e[+-]\d\d"


def snippets(title):
    return re.findall(r"```python\n(.*?)```", SECTIONS[title], re.DOTALL)


@pytest.fixture
def run_snippets(tmp_path, monkeypatch, capsys):
    """Run the snippets of a section one after another, as they stand, in a temporary folder: what each prints."""
    monkeypatch.chdir(tmp_path)

    def run(title):
        namespace, outputs = {"__name__": "__main__"}, []
        for code in snippets(title):
            exec(compile(code, "README.md", "exec"), namespace)
            captured = capsys.readouterr()
            assert captured.err == ""
            outputs.append(re.sub(r"^Epoch .*\n", "", captured.out, flags=re.MULTILINE))
        return outputs

    return run


def numbers(text):
    return [float(number) for number in re.findall(NUMBER, text)]


def test_every_python_snippet_is_run_by_a_test_of_its_section():
    with_snippets = {title for title in SECTIONS if snippets(title)}
    assert with_snippets == {
        "Your own series", "Strengths and limits, each with its proof", "When one machine is not enough",
    }  # fmt: skip


def shown_output():
    return re.search(r"```text\n(Device.*?)```", README, re.DOTALL)[1]


def test_the_output_shown_is_that_of_the_default_run(default_run):
    _, out, picture = default_run
    shown = shown_output()
    printed = out.replace(str(picture), "rnn_sine.png")
    assert re.sub(NUMBER, "#", shown) == re.sub(NUMBER, "#", printed)
    assert numbers(shown) == pytest.approx(numbers(printed), rel=0.02, abs=1e-5)


def test_the_snippet_for_your_own_series(run_snippets):
    command = re.search(r'python -c "import numpy as np; (.*)"\n', SECTIONS["Your own series"])[1]
    exec(command, {"np": np})
    (snippet,) = snippets("Your own series")
    assert len(snippet.splitlines()) <= 15
    (out,) = run_snippets("Your own series")
    persistence, linear_regression, rnn = numbers(out)
    assert rnn < linear_regression / 3 < persistence / 3
    assert persistence == pytest.approx(0.0747, rel=0.01)


def test_the_proofs_print_what_the_text_says(run_snippets):
    title = "Strengths and limits, each with its proof"
    sharing, memory, shapes, fading, time = run_snippets(title)
    text = SECTIONS[title]
    for line in sharing.splitlines():
        assert f"`{line}`" in text
    assert float(memory) == pytest.approx(float(re.search(r"It prints (0\.\d+)\. The", text)[1]), rel=0.05)
    for shape in re.findall(r"\[.*\]", shapes):
        assert f"`{shape}`" in text
    shown = re.search(r"```text\n(untrained.*?)```", text, re.DOTALL)[1]
    value = r"\d[.\d]*(?:e[+-]\d+)?"
    assert re.sub(value, "#", shown) == re.sub(value, "#", fading)
    for told, found in zip(re.findall(value, shown), re.findall(value, fading), strict=True):
        assert abs(np.log10(float(told)) - np.log10(float(found))) < 0.7
    once, longer, wider = (float(line.split(": ")[1].split()[0]) for line in time.splitlines())
    assert once == 1 and longer > 2 * wider


def test_two_processes_train_to_equal_weights(tmp_path):
    (snippet,) = snippets("When one machine is not enough")
    assert len(snippet.splitlines()) <= 20
    (tmp_path / "ddp.py").write_text(snippet)
    shutil.copy(ROOT / "rnn_sine.py", tmp_path)
    _, *arguments = shlex.split(re.search(r"^torchrun .*", SECTIONS["When one machine is not enough"], re.M)[0])
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *arguments],
        cwd=tmp_path, env=os.environ | {"PYTHONUNBUFFERED": "1"}, capture_output=True, text=True, timeout=80,
    )  # fmt: skip
    # The exit status is not asked for: torch can abort while it takes gloo down, when all work is done.
    ends = sorted(line for line in done.stdout.splitlines() if line.startswith("rank"))
    assert ends == [f"rank {rank}: weights equal to those of rank 0: True" for rank in (0, 1)], done.stderr


COMMANDS = sorted(set(re.findall(r"python rnn_sine\.py([^`\n]*)", README)))


@pytest.mark.parametrize("flags", COMMANDS)
def test_every_command_line_parses(flags, tmp_path, monkeypatch):
    (tmp_path / "tests").mkdir()
    monkeypatch.chdir(tmp_path)
    if flags.strip() == "--help":
        with pytest.raises(SystemExit, match="0"):
            rnn_sine.make_parser().parse_args(["--help"])
    else:
        rnn_sine.make_parser().parse_args(shlex.split(flags))


def test_the_table_of_flags_is_that_of_the_parser():
    rows = dict(re.findall(r"^\| `(--[a-z-]+)` \|([^|]*)\|", README, re.MULTILINE))
    actions = {
        action.option_strings[0]: action
        for action in rnn_sine.make_parser()._actions
        if "--help" not in action.option_strings
    }
    assert set(rows) == set(actions)
    for flag, default in rows.items():
        expected = actions[flag].default
        assert default.strip() == ("" if expected is None or expected is False else str(expected))


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_link_leads_somewhere():
    headings = {anchor(heading) for heading in re.findall(r"^#+ (.*)$", README, re.MULTILINE)}
    script = (ROOT / "rnn_sine.py").read_text(encoding="utf-8").splitlines()
    links = re.findall(r"\[([^\]]*(?:\[[^\]]*\][^\]]*)*)\]\(([^)\s]+)\)", README)
    assert len(links) > 15
    for text, target in links:
        path, _, fragment = target.partition("#")
        if path == "rnn_sine.py":
            assert any(text.strip("`") in line for line in script), text
        elif path:
            assert (ROOT / path).is_file(), target
        else:
            assert fragment in headings, target


def blurred(picture):
    """The grey values of a picture, averaged over blocks of 10 x 10 pixels."""
    return np.asarray(picture.convert("L")).reshape(90, 10, 130, 10).mean(axis=(1, 3)) / 255


def test_the_picture_is_the_one_that_the_current_code_draws(default_run):
    _, out, path = default_run
    with Image.open(ROOT / "tests" / "rnn_sine.png") as shown, Image.open(path) as drawn:
        # A missing legend changes 5e-4. Another release of matplotlib moves every letter by some pixels, and another
        # processor may round the training differently; then the pictures are alike, but not the same.
        same_release = shown.text["Software"] == drawn.text["Software"]
        same_run = shown_output() == out.replace(str(path), "rnn_sine.png")
        difference = np.abs(blurred(shown) - blurred(drawn)).mean()
    assert difference < (1e-4 if same_release and same_run else 0.01)
