"""`distill plan` says how many probes a check asks, and how many its verdict takes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from distill.cli import app


def said(folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.chdir(folder)
    (folder / "AGENTS.md").write_text("# Notes\n\n- The port is 4417.\n- For now the api is read-only.\n")
    (folder / "r.yaml").write_text("out: run\nmemory: {sources: [{format: agents_md, path: AGENTS.md}]}\n")
    done = CliRunner().invoke(app, ["plan", "r.yaml", *words])
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def test_by_an_assumption_and_by_the_last_pilot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = said(tmp_path, monkeypatch)
    assert "about 8 probes of 1 unit; a margin of 5 points takes 371" in text and "15% is assumed" in text
    assert "takes 1,030" in said(tmp_path, monkeypatch, "--set", "check.pass.margin=0.03")
    assert "16 probes of 2 units" in said(
        tmp_path, monkeypatch, "--set", "check.arms=[none, tokens, deployed]"
    )
    pilot = {"n": 80, "discordance": 0.04, "design_effect": 2.0, "needed": 198}
    (tmp_path / "run" / "report.json").write_text(json.dumps({"pilot": pilot}))
    assert "takes 198" in (text := said(tmp_path, monkeypatch)) and "found by the last pilot" in text
    (tmp_path / "run" / "report.json").write_text("{")
    assert "15% is assumed" in said(tmp_path, monkeypatch)
