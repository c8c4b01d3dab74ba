"""`distill run --dry-run`: from a recipe to what a run will take. Counting and measuring are `cost.py`'s."""

from __future__ import annotations

import time

import psutil
import torch

from distill import cost
from distill.check.arms import Guard
from distill.errors import ModelError
from distill.flow import prepare, training_options
from distill.memory import Memory
from distill.recipe import Recipe
from distill.records import Plan
from distill.train.device import device_name, free_memory, used_up
from distill.train.model import config_of, load_base, number_of, pick_device
from distill.work import fits

FULL = "the device's memory is used up"


def foresee(said: Recipe, memory: Memory, plan: Plan, guard: Guard | None = None) -> cost.Ahead:
    """What a run will take, from counts and some seconds of the real work on the device found; only counted
    where the base is not on this machine or does not fit its device. `said.out` is written to.

    Raises ModelError where not even the config of the base can be had, or the memory does not fit it.
    """
    device = torch.device(pick_device(said.base.device))
    left = free_memory(device)
    planned = cost.Plan(
        **said.synth.model_dump(include={"per_unit", "families", "replay", "temperature", "top_k"}),
        **said.train.model_dump(include={"rank", "alpha", "excerpts", "checkpointing"}),
        **said.check.model_dump(include={"arms", "gates", "probes_per_unit", "cloze", "pilot"}),
        train=training_options(said, None),
    )
    tokens, units = sum(route.tokens for route in plan.routes), len(plan.units("weights"))
    base, rates, fault = None, None, None
    try:
        base = load_base(**said.base.model_dump())
    except ModelError as trouble:
        fault = trouble
    except RuntimeError as trouble:
        if not used_up(trouble):
            raise
        fault = FULL
    if base is not None:
        job = prepare(said, memory, plan, guard, base)
        tokens, units = fits(job.work), len(job.work.units)
        loading = cost.Time(time.time() - psutil.Process().create_time(), time.process_time())
        try:
            rates = cost.calibrate(job.work, planned, loading)
        except RuntimeError as trouble:
            if not used_up(trouble):
                raise
            fault = FULL
    config = config_of(said.base.model, fault)
    graph, why_not = cost.graph_or_why(config, number_of(said.base.dtype, device), said.train.rank)
    notes = [f"nothing was measured, and lengths are guesses: {fault}"] if fault else []
    if said.synth.teacher == "openai":
        notes.append("the time of the self-study is that of this device: servers may be faster")
    checkpointing = said.train.checkpointing
    wanted = cost.Choice(
        said.base.quantize,
        device.type == "cuda" if checkpointing is None else checkpointing,
        said.train.batch_tokens,
        said.synth.batch_size,
    )
    return cost.foresee(
        planned,
        units=units,
        memory=tokens,
        limit=said.synth.max_new_tokens,
        wanted=wanted,
        graph=graph,
        left=left,
        device=device_name(device),
        rates=rates,
        notes=[*notes, *([why_not] if why_not else [])],
    )
