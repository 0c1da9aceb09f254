"""A tiny version of the experiments, to its end."""

import experiments


def test_the_experiments_print_every_table_and_draw(tmp_path, monkeypatch, capsys):
    run = experiments.run
    runs = {}
    for row in ("clean sine", "noisy, one cycle", "rectified sine", "sunspots"):
        runs[row] = experiments.RUNS[row]
    monkeypatch.setattr(experiments, "RUNS", runs)
    monkeypatch.setattr(experiments, "run", lambda flags, seed: run(f"{flags} --epochs 1", seed))
    monkeypatch.setattr(experiments.toss_pairs, "__defaults__", (520,))
    monkeypatch.setattr(experiments, "CLIPPED", "--epochs 1")
    monkeypatch.setattr(experiments, "WINDOWS", [2])
    monkeypatch.setattr(experiments, "N_PATHS", 2)
    found = experiments.measure(seed=200)
    experiments.print_tables([found, found])
    out = capsys.readouterr().out
    for table, row, _ in found:
        assert f"\n{table}\n" in out
        assert f"\n  {row}: " in out
    experiments.draw([found, found], tmp_path / "a.png")
    assert (tmp_path / "a.png").exists()
