"""Forgetting: what an adapter changes that has nothing to do with the memory.

Measured against the base's own answers, on generic prompts (replay) and on questions that the memory does not
answer (abstain). Agreement is exact after normalisation, which suits short answers; long free text would need
a softer measure. Not covered: locality (near-miss prompts), capability suites.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from distill.check.retention import Sample, summary
from distill.check.scorers import abstains, exact
from distill.report.model import Forgetting, Summary

Pair = tuple[str, str]  # a prompt, and what the base answers to it


def forgetting(
    replay: Sequence[Pair], abstain: Sequence[Pair], answer: Callable[[list[str]], list[str]]
) -> Forgetting:
    """Agreement on the replay prompts and abstaining on the others; None where there is no prompt.

    `answer(prompts)` is the base with the adapter, asked as the base was. Prompts count as independent of
    each other.
    """
    given = answer([prompt for prompt, _ in (*replay, *abstain)]) if replay or abstain else []
    same = [exact(base, new) for (_, base), new in zip(replay, given, strict=False)]
    return Forgetting(
        agreement=_share(same),
        abstain_before=_share([float(abstains(base)) for _, base in abstain]),
        abstain_after=_share([float(abstains(new)) for new in given[len(replay) :]]),
    )


def _share(values: list[float]) -> Summary | None:
    if not values:
        return None
    array = np.array(values)
    return summary(Sample(np.arange(len(array)), {}), array, resamples=2000, seed=0)
