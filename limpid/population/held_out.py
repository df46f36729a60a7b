"""What members say of training rows that they have not seen: an honest score without another split.

Under bagging a member has not seen 36.8 % of the rows, so that about M/3 of M members answer for each; under folds just
one member answers for each row. The answers of several are averaged as those of the ensemble are.

Breiman, "Out-of-bag estimation", 1996; Stone, "Cross-validatory choice", 1974.

Shapes: M members, N training rows, U rows that one member has not seen, K outputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.data.bootstrap import bootstrap_index, resample
from limpid.models.ensemble import members_of
from limpid.population.lineup import Lineup
from limpid.record.run import Run
from limpid.scoring import answers, figures_of, write_predictions
from limpid.spec import Task
from limpid.wiring import Wiring


def score_held_out(wiring: Wiring, lineup: Lineup, run: Run) -> None:
    """Write the score on training rows by members that have not seen them, and every answer, where there are any.

    The row "held_out" names the file; `of` counts the training rows, and `n` those that some member has not seen.
    """
    how = {"bagging": "out_of_bag", "folds": "out_of_fold"}.get(wiring.config.training.ensemble)
    if how is None or wiring.dataset.spec.task == "tokens":
        return
    if how == "out_of_bag" and (wiring.dataset.spec.kind == "series" or wiring.config.data.split != "random"):
        why = "rows that one member has not seen lie beside rows that it has, in time or in a group"
        run.add("note", text=f"There is no out-of-bag score: {why}.")
        return
    train, unseen = wiring.dataset.train, unseen_rows(wiring, lineup)
    outputs = []
    for network, index_U in zip(members_of(wiring.network), unseen, strict=True):
        outputs.append(answers(wiring, network, resample(train, index_U))[0].cpu() if len(index_U) else None)
    rows_N, outputs_NK = average_of_some(outputs, unseen, len(train), wiring.dataset.spec.task)
    if len(rows_N) == 0:
        return
    split = resample(train, rows_N)
    target = split.target
    figures = figures_of(wiring.objective, outputs_NK, target)
    write_predictions(run, f"{how}.npz", wiring.objective, split, outputs_NK, target)
    run.add("held_out", name=how, file=f"{how}.npz", of=len(train), **figures)


def unseen_rows(wiring: Wiring, lineup: Lineup) -> list[Tensor]:
    """int64 (U,) for each member in the network: the training rows of the run that it has not trained on, rising."""
    train, unseen = wiring.dataset.train, []
    place = {} if train.index is None else {row: i for i, row in enumerate(train.index.tolist())}
    for described in wiring.members:
        member = lineup.members[described["number"] - 1]
        if member.bootstrap is not None:
            seen_N = torch.zeros(len(train), dtype=torch.bool)
            seen_N[bootstrap_index(len(train), member.bootstrap)] = True
            unseen.append((~seen_N).nonzero().flatten())
            continue
        valid = lineup.ground.dataset(member.config).valid
        rows = (
            [] if valid is None or valid.index is None else [place[row] for row in valid.index.tolist() if row in place]
        )
        unseen.append(torch.tensor(sorted(rows), dtype=torch.int64))
    return unseen


def average_of_some(
    outputs: Sequence[Tensor | None], rows: Sequence[Tensor], num_rows: int, task: Task
) -> tuple[Tensor, Tensor]:
    """The rows that some member answers for, rising, and the outputs of the mean of their members' answers.

    Args:
        outputs: (U, K) of each member.
        rows: (U,) int64, which of `num_rows` rows these are.
    """
    count_N = torch.zeros(num_rows)
    sum_NK: Tensor | None = None
    for outputs_UK, index_U in zip(outputs, rows, strict=True):
        if outputs_UK is None:
            continue
        parts_UK = _probabilities(outputs_UK.double(), task)
        sum_NK = parts_UK.new_zeros(num_rows, parts_UK.shape[1]) if sum_NK is None else sum_NK
        sum_NK[index_U] += parts_UK
        count_N[index_U] += 1
    answered_N = count_N.nonzero().flatten()
    if sum_NK is None:
        return answered_N, torch.zeros(0, 1)
    mean_NK = sum_NK[answered_N] / count_N[answered_N, None]
    if task == "regression":
        return answered_N, mean_NK.float()
    if task in ("binary", "multilabel"):
        yes_NK, no_NK = mean_NK.chunk(2, dim=1)
        return answered_N, (yes_NK.log() - no_NK.log()).float()
    return answered_N, mean_NK.log().float()


def _probabilities(outputs_UK: Tensor, task: Task) -> Tensor:
    """What is averaged: values, probabilities of classes, or those of yes beside those of no."""
    if task == "regression":
        return outputs_UK
    if task in ("binary", "multilabel"):
        return torch.cat([outputs_UK.sigmoid(), (-outputs_UK).sigmoid()], dim=1)
    return F.softmax(outputs_UK, dim=1)
