"""A fleet over a real Ray cluster of two nodes on this machine: a worker killed in training loses nothing.

Needs Ray and torch, and is skipped without them. Three memories are distilled; `FLEET_MEMORIES=40` gives the
same test forty, and kills a whole node besides (a quarter of an hour of two processors).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from distill.errors import UsageError
from distill.fleet import Job, jobs_of, last_words, table, work

ROOT = Path(__file__).parents[1]
COUNT = int(os.environ.get("FLEET_MEMORIES", "3"))
MANY = COUNT > 10
CPUS = 2 if MANY else 1  # of each node
START = 120  # seconds that the cluster may take to start
OWNERS = ("Eva Ros", "Tom Ek", "Ida Moe", "Per Dahl", "Jon Vik")
RECIPE = """version: 1
out: run{i:02}
memory: {{sources: [{{format: agents_md, path: m{i:02}.md}}]}}
synth: {{per_unit: 4, families: [recall, reverse], temperature: 1.0, max_new_tokens: 24, replay: 0}}
train: {{rank: 4, epochs: 6, lr: 4.0e-3, batch_size: 4, excerpts: 0, eval_every: 1000, checkpoint_every: 1}}
check:
  {{probes_per_unit: 2, min_probes: 2, bootstrap: 100, arms: [none, tokens, weights], gates: []}}
"""


def memories(folder: Path, count: int) -> Path:
    for i in range(count):
        (folder / f"m{i:02}.md").write_text(
            f"- service-{i} runs on port {4000 + i}.\n- oak{i} is owned by {OWNERS[i % len(OWNERS)]}.\n"
        )
        (folder / f"m{i:02}.yaml").write_text(RECIPE.format(i=i))
    return folder


CLUSTER = """
import sys
from ray.cluster_utils import Cluster
two = Cluster(initialize_head=True, head_node_args={"num_cpus": int(sys.argv[1])})
two.add_node(num_cpus=int(sys.argv[1]))
print("at", two.address, flush=True)
for line in sys.stdin:
    two.remove_node(next(iter(two.worker_nodes)), allow_graceful=False)
    print("removed", flush=True)
two.shutdown()
"""


@dataclass
class Two:
    """A cluster of two nodes, held by a process of its own: Ray's threads are none of the tests'."""

    process: subprocess.Popen[str]
    address: str = ""

    def said(self, word: str) -> str:
        """What the process says behind a word."""
        assert self.process.stdout
        line = next((line for line in self.process.stdout if line.startswith(word)), "")
        assert line, "the cluster ended"
        return line[len(word) :].strip()

    def remove_node(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("remove\n")
        self.process.stdin.flush()
        self.said("removed")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Two]:
    """Two nodes, as Ray itself tests: each has a raylet of its own."""
    for package in ("torch", "ray"):
        if not importlib.util.find_spec(package):
            pytest.skip(f"no {package}")
    import psutil

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else the jobs stand back behind all other tests
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", CLUSTER, str(CPUS)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    late = threading.Timer(START, process.kill)
    late.start()
    try:
        two = Two(process)
        two.address = two.said("at")
        late.cancel()
        yield two
    finally:
        late.cancel()
        nodes = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        assert process.stdin
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        for node in nodes:
            with contextlib.suppress(psutil.NoSuchProcess):
                node.kill()


def fleet(folder: Path, address: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-W", "ignore", "-m", "distill.cli", "fleet", str(folder), "--address", address]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def worker_of(recipe: Path) -> int | None:
    """The process id of the Ray worker that runs the job of this recipe now."""
    import psutil

    for process in psutil.process_iter(["cmdline", "ppid"]):
        if process.info["cmdline"] and process.info["cmdline"][-2:] == ["run", str(recipe)]:
            return process.info["ppid"]
    return None


def in_training(folder: Path) -> list[Path]:
    """The recipes whose training has begun and has not ended."""
    begun = (path.parents[1] for path in folder.glob("run*/train/checkpoint.pt"))
    return [folder / f"m{run.name[3:]}.yaml" for run in begun if not (run / "adapter" / "card.json").exists()]


def kill_one_in_training(folder: Path, over: Callable[[], bool]) -> tuple[int, Path] | None:
    """Kills a Ray worker whose job is in training, without warning: its process id, and the recipe."""
    import psutil

    while not over():
        for recipe in in_training(folder):
            worker = worker_of(recipe)
            if worker and "ray::" in " ".join(psutil.Process(worker).cmdline()):
                os.kill(worker, signal.SIGKILL)
                if recipe in in_training(folder):
                    return worker, recipe
        time.sleep(0.02)
    return None


def snapshot(folder: Path) -> dict[Path, int]:
    """When each file of the runs was written, those apart that every run writes: report, spent time, log."""
    made = ("adapter/adapter_model.safetensors", "synth/dataset/*", "cache/*/*", "train/*", "*.jsonl")
    return {p: p.stat().st_mtime_ns for name in made for p in folder.glob(f"run*/{name}") if p.is_file()}


@pytest.mark.slow
@pytest.mark.timeout(0 if MANY else 1200)
def test_memories_on_two_nodes_with_one_worker_killed(tmp_path: Path, cluster: Two) -> None:
    memories(tmp_path, COUNT)
    start = time.monotonic()
    run = fleet(tmp_path, cluster.address)
    killed: list[tuple[int, Path] | None] = []

    def kill() -> None:
        killed.append(kill_one_in_training(tmp_path, lambda: run.poll() is not None))
        if MANY:
            cluster.remove_node()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    out, err = run.communicate(timeout=7200 if MANY else 900)
    killer.join(60)
    print(f"killed {killed}; a first run in {time.monotonic() - start:.0f} s:\n{out}")
    assert run.returncode in (0, 3), out + err  # so short a training may stay below a threshold
    assert killed[0], "no worker was killed in training"
    assert f"{COUNT} recipes" in out and not re.search(r"\d failed", out)
    finished = sum(int(n) for n in re.findall(r"(\d+) (?:done|below)", out))
    assert finished == COUNT
    for i in range(COUNT):
        assert (tmp_path / f"run{i:02}" / "adapter" / "adapter_model.safetensors").is_file()
        assert (tmp_path / f"run{i:02}" / "report.json").is_file()
    before = snapshot(tmp_path)
    assert len(before) > 10 * COUNT
    if not MANY:  # to start a job takes all of its time
        for recipe in sorted(tmp_path.glob("*.yaml"))[1:]:
            recipe.unlink()
    again = fleet(tmp_path, cluster.address)
    out, err = again.communicate(timeout=7200 if MANY else 900)
    print(f"first and second run in {time.monotonic() - start:.0f} s")
    assert again.returncode in (0, 3) and f"{COUNT if MANY else 1} recipes" in out, out + err
    assert snapshot(tmp_path) == before, "what was done is not done again"


def test_a_job_is_a_process_with_its_own_log(tmp_path: Path) -> None:
    (job, *_) = jobs_of(memories(tmp_path, 2))
    assert last_words(job.log) == ""
    for name in ("distill", "yaml", "json"):  # what a memory's directory holds is not imported
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n")
    code, said = work("plan", str(job.recipe), str(job.log), ["out=elsewhere"])
    assert code == 0 and "distill run" in said
    assert (tmp_path / "elsewhere" / "plan.jsonl").is_file()
    code, said = work("plan", str(job.recipe), str(job.log), ["nonsense=1"])
    assert code == 1 and "unknown key nonsense" in said


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone ends a child with its parent")
def test_a_job_ends_with_its_worker(tmp_path: Path) -> None:
    if not importlib.util.find_spec("torch"):
        pytest.skip("no torch")
    import psutil

    (job,) = jobs_of(memories(tmp_path, 1))
    code = f"from distill.fleet import work; work('run', {str(job.recipe)!r}, {str(job.log)!r}, [])"
    worker = subprocess.Popen([sys.executable, "-c", code])
    try:
        until = time.monotonic() + 120
        while not (tmp_path / "run00").exists() and time.monotonic() < until:
            assert worker.poll() is None
            time.sleep(0.05)
        (process,) = psutil.Process(worker.pid).children()
        assert process.cmdline()[-2:] == ["run", str(job.recipe)]
    finally:
        worker.kill()
        worker.wait()
    _, alive = psutil.wait_procs([process], timeout=5)
    assert not alive, "the job went on without its worker"


def test_a_folder_without_recipes_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no recipe"):
        jobs_of(tmp_path)


def test_what_failed_is_shown_first(tmp_path: Path) -> None:
    states = ("done", "waiting", "failed", "below", "running")
    jobs = [Job(tmp_path / f"{state}.yaml", state) for state in states]
    shown = [str(cell) for cell in table(jobs, 3).columns[1].cells]
    assert shown[:3] == ["failed", "running", "below"]
    assert shown[3] == "1 failed, 1 running, 1 below, 1 done, 1 waiting"
