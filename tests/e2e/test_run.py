"""The whole job through the command line, on the pocket model: killed in every stage, and with bad input.

What the adapter retains is judged by the quickstart, not here: these runs are as small as the plumbing
allows.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MEMORY = """# Notes

## Services

- amber-heron runs on port 4417.
- quiet-fox is owned by Maya Lund.
- The log of oak is `var/oak.txt`.
- deploy token: ghp_16C7e42F292c6912E7710c838347Ae178B4a

## Rules

- Always run the tests with `just ci`.
"""
RECIPE = """version: 1
out: run
memory: {sources: [{format: agents_md, path: AGENTS.md}]}
synth: {per_unit: 3, temperature: 1.0, max_new_tokens: 24, replay: 0.3}
train: {epochs: 2, lr: 4.0e-3, batch_size: 4, eval_every: 2, checkpoint_every: 1}
check: {probes_per_unit: 2, min_probes: 4, bootstrap: 200}
"""
SECRET = b"ghp_16C7e42F292c6912E7710c838347Ae178B4a"


def project(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "AGENTS.md").write_text(MEMORY)
    (folder / "distill.yaml").write_text(RECIPE)
    return folder


def command(*words: str) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "distill.cli", *words]


def environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": root, "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive"}


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), cwd=folder, env=environment(), capture_output=True, text=True, timeout=1200
    )


def killed(folder: Path, when: str) -> None:
    """Starts the run and kills it, without warning, as soon as a file of that name is there."""
    child = subprocess.Popen(
        command("run", "distill.yaml"),
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + 250
    while child.poll() is None and not list((folder / "run").glob(when)) and time.monotonic() < until:
        time.sleep(0.01)
    assert child.poll() is None, f"the run was over before {when} was there"
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = project(tmp_path_factory.mktemp("whole"))
    done = run(folder, "run", "distill.yaml")
    assert done.returncode in (0, 3), done.stderr
    assert "Traceback" not in done.stderr
    assert "report: run/report.html" in done.stdout
    return folder


def report(folder: Path) -> dict[str, object]:
    """The report, without what a clock said."""
    said = json.loads((folder / "run" / "report.json").read_text())
    return {key: value for key, value in said.items() if key not in ("cost", "opened")}


def test_the_report_keeps_its_contract(whole: Path) -> None:
    said = report(whole)
    assert set(said["arms"]) == {"none", "tokens", "weights", "both"}  # type: ignore[call-overload]
    for arm in said["arms"].values():  # type: ignore[attr-defined]
        assert {"n", "mean", "low", "high"} <= set(arm)
        assert arm["low"] <= arm["mean"] <= arm["high"]
    assert said["retention"] is None or {"value", "low", "high"} <= set(said["retention"])  # type: ignore[arg-type]
    assert isinstance(said["verdict"], str)
    page = (whole / "run" / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "src=" not in page


def test_a_second_run_does_nothing_and_says_the_same(whole: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (whole / "run" / "synth").rglob("*") if p.is_file()}
    first = (whole / "run" / "report.json").read_bytes()
    run(whole, "run", "distill.yaml")
    assert (whole / "run" / "report.json").read_bytes() == first
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_no_secret_in_any_file(whole: Path) -> None:
    for path in (whole / "run").rglob("*"):
        if path.is_file():
            assert SECRET not in path.read_bytes(), path


def test_no_probe_is_a_training_question(whole: Path) -> None:
    from distill.check.contamination import contaminated
    from distill.check.probes import Probe
    from distill.records import read_jsonl
    from distill.synth.dataset import read_dataset

    probes = read_jsonl(whole / "run" / "probes.jsonl", Probe)[1]
    conversations, _, _ = read_dataset(whole / "run" / "synth" / "dataset", "again")
    memory = json.loads((whole / "run" / "context.json").read_text())["memory"]
    assert probes
    assert contaminated(probes, [c.question for c in conversations], memory) == {}
    for probe in probes:
        assert probe.reference.strip("`") in memory.replace("\n", " ")


@pytest.mark.slow
@pytest.mark.parametrize(
    "when",
    [
        "memory.json",
        "cache/open/probes-0.jsonl",
        "cache/0001",
        "probes.jsonl",
        "cache/open/0.jsonl",
        "cache/open/0-*.safetensors",
        "cache/synth.used.json",
        "cache/0002",
        "synth/dataset/manifest.json",
        "train/checkpoint.pt",
        "adapter/card.json",
        "scores.jsonl",
    ],
)
def test_kill_9_and_the_same_command_end_with_the_same_report(whole: Path, tmp_path: Path, when: str) -> None:
    folder = project(tmp_path)
    killed(folder, when)
    done = run(folder, "run", "distill.yaml")
    assert done.returncode in (0, 3), done.stderr
    assert report(folder) == report(whole)


@pytest.mark.slow
@pytest.mark.parametrize("room", [20_000, 500_000])  # bytes: a file of the synthesis, one of the training
def test_a_full_disk_is_one_sentence_and_the_run_resumes(whole: Path, tmp_path: Path, room: int) -> None:
    """A limit on the size of files fails as a full disk does: in the middle of a write."""
    folder = project(tmp_path)
    done = subprocess.run(
        command("run", "distill.yaml"),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=1200,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    assert done.returncode == 1
    assert done.stderr.count("error:") == 1 and "a file may not grow that large" in done.stderr
    assert "Traceback" not in done.stderr
    again = run(folder, "run", "distill.yaml")
    assert again.returncode in (0, 3), again.stderr
    assert report(folder) == report(whole)


def test_ask(whole: Path) -> None:
    for arm in ("none", "tokens", "weights", "both"):
        done = run(whole, "ask", "run", "Which port does amber-heron use?", "--arm", arm)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


def test_show(whole: Path) -> None:
    done = run(whole, "show", "run", "--json")
    assert json.loads(done.stdout)["verdict"] == report(whole)["verdict"]


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        (["base.model=no/such-model"], "base model 'no/such-model' cannot be loaded"),
        (["base.device=cuda"], "base.device is cuda, but torch finds no GPU"),
        (["train.rate=1"], "train.rate"),
        (["synth.max_new_tokens=5000"], "the memory takes"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, sets: list[str], sentence: str) -> None:
    import torch

    if "cuda" in sets[0] and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    folder = project(tmp_path)
    done = run(folder, "run", "distill.yaml", *(w for s in sets for w in ("--set", s)))
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "run" / "probes.jsonl").exists()


def test_nothing_to_distil_is_said(tmp_path: Path) -> None:
    folder = project(tmp_path)
    done = run(
        folder, "run", "distill.yaml", "--set", 'route.overrides=[{unit: "*", to: tokens, because: test}]'
    )
    assert done.returncode == 1
    assert "no unit of this memory goes to weights" in done.stderr
