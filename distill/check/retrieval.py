"""The explicit-memory baseline: what a user could do instead of an adapter, at the same cost in context.

For each question the units that BM25 finds for it are put in context, best first, as many as the tokens of
the residual memory pay for. BM25 is that of bm25s (Lù, arXiv 2407.03618), with its defaults. Not covered:
embeddings, rewriting of the question, several rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def retriever(
    lines: Sequence[str], budget: int, cost: Callable[[str], int]
) -> Callable[[Sequence[str]], list[str]]:
    """A function from questions to their contexts, each at most `budget` tokens by `cost`, lines in the order
    of the memory. A question that shares no word with any line, or a budget that pays for none, has "".
    """
    import bm25s

    bullets = [f"- {line}\n" for line in lines]
    costs = [cost(bullet) for bullet in bullets]
    words: Any = bm25s.tokenize(list(lines), return_ids=False, show_progress=False)
    if not any(words):
        return lambda questions: ["" for _ in questions]
    index = bm25s.BM25()
    index.index(words, show_progress=False)

    def context(asked: list[str]) -> str:
        scores = index.get_scores(asked) if asked else []
        chosen, left = [], budget
        for at in sorted(range(len(scores)), key=lambda at: (-scores[at], at)):
            if scores[at] > 0 and costs[at] <= left:
                chosen.append(at)
                left -= costs[at]
        return "".join(bullets[at] for at in sorted(chosen))

    def contexts(questions: Sequence[str]) -> list[str]:
        asked: Any = bm25s.tokenize(list(questions), return_ids=False, show_progress=False)
        return [context(one) for one in asked]

    return contexts
