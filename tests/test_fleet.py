"""A fleet over a real Ray cluster of two nodes on this machine: a killed worker loses nothing.

Needs Ray, the extra [fleet], and is skipped without it. The jobs plan and do not train, so that forty take a
minute; what a job that is killed in training does is tested in tests/e2e.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from distill.errors import UsageError
from distill.fleet import Job, jobs_of, table, work

ROOT = Path(__file__).parents[1]
COUNT = 40


def memories(folder: Path, count: int) -> Path:
    for i in range(count):
        (folder / f"m{i:02}.md").write_text(
            f"- service-{i} runs on port {4000 + i}.\n- oak{i} is owned by Eva.\n"
        )
        (folder / f"m{i:02}.yaml").write_text(
            f"version: 1\nout: run{i:02}\nmemory: {{sources: [{{format: agents_md, path: m{i:02}.md}}]}}\n"
        )
    return folder


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Two nodes of two processors each, as Ray itself tests: each has a raylet of its own."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster  # pyright: ignore[reportMissingImports]

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    two = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    two.add_node(num_cpus=2)
    try:
        yield two.address
    finally:
        two.shutdown()


def fleet(folder: Path, address: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-W", "ignore", "-m", "distill.cli", "fleet", str(folder), "--stage", "plan"]
    return subprocess.Popen(
        [*words, "--address", address], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def kill_one_worker(until: float) -> int:
    """Kills a Ray worker that runs a job, without warning; its process id."""
    import psutil

    while time.monotonic() < until:
        for process in psutil.process_iter(["cmdline", "ppid"]):
            words = process.info["cmdline"] or []
            if "distill.cli" in words and "plan" in words and "fleet" not in words:
                parent = psutil.Process(process.info["ppid"])
                if "ray::" in " ".join(parent.cmdline()):
                    os.kill(parent.pid, signal.SIGKILL)
                    return parent.pid
        time.sleep(0.05)
    return 0


@pytest.mark.slow
def test_forty_memories_on_two_nodes_with_one_worker_killed(tmp_path: Path, cluster: str) -> None:
    memories(tmp_path, COUNT)
    killed: list[int] = []
    killer = threading.Thread(target=lambda: killed.append(kill_one_worker(time.monotonic() + 500)))
    run = fleet(tmp_path, cluster)
    killer.start()
    out, err = run.communicate(timeout=1500)
    killer.join()
    assert run.returncode == 0, out + err
    assert killed and killed[0]
    assert f"{COUNT} recipes" in out and f"{COUNT} done" in out
    assert all((tmp_path / f"run{i:02}" / "plan.jsonl").is_file() for i in range(COUNT))
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("run*/memory.jsonl")}
    again = fleet(tmp_path, cluster)
    out, err = again.communicate(timeout=1500)
    assert again.returncode == 0 and f"{COUNT} done" in out
    assert {p: p.stat().st_mtime_ns for p in before} == before, "what was read is not read again"


def test_a_job_is_a_process_with_its_own_log(tmp_path: Path) -> None:
    (job, *_) = jobs_of(memories(tmp_path, 2))
    code, said = work("plan", str(job.recipe), str(job.log), ["out=elsewhere"])
    assert code == 0 and "distill run" in said
    assert (tmp_path / "elsewhere" / "plan.jsonl").is_file()
    code, said = work("plan", str(job.recipe), str(job.log), ["nonsense=1"])
    assert code == 1 and "unknown key nonsense" in said


def test_a_folder_without_recipes_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no recipe"):
        jobs_of(tmp_path)


def test_what_failed_is_shown_first(tmp_path: Path) -> None:
    states = ("done", "waiting", "failed", "below", "running")
    jobs = [Job(tmp_path / f"{state}.yaml", state) for state in states]
    shown = [str(cell) for cell in table(jobs, 3).columns[1].cells]
    assert shown[:3] == ["failed", "running", "below"]
    assert shown[3] == "1 failed, 1 running, 1 below, 1 done, 1 waiting"
