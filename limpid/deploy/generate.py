"""Text from a trained network: a prompt continued, a source translated, an image described.

Shapes: B sequences, S source tokens, T tokens, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from limpid.data.vocabulary import Vocabulary
from limpid.deploy.sampling import NEVER, Sampling, choose
from limpid.deploy.trained import Trained, load_trained
from limpid.errors import DataError, ModelError
from limpid.record.run import Run
from limpid.spec import END, PADDING, START

BATCH = 256  # sources that are written for at once


def generate_text(run: Run | str | Path, prompt: str = "", *, length: int = 500, how: Sampling | None = None) -> str:
    """The prompt, continued by `length` tokens, or fewer where the text ends by itself.

    An empty prompt begins as a new line does, where the vocabulary has lines, else with the commonest token.

    Raises:
        ModelError: the run is no language model.
        DataError: the prompt holds a token that training never saw.
    """
    trained = load_trained(run)
    spec = trained.spec
    body = _body(trained)
    if spec.kind != "text" or spec.task != "tokens" or not hasattr(body, "extend"):
        raise ModelError(
            f"{trained.run.path} predicts no next tokens: its data are of kind {spec.kind}, task {spec.task}. "
            "Train gpt, lstm, gru or rnn on a running text" + (", or give --source." if spec.kind in WRITERS else ".")
        )
    vocabulary = Vocabulary.from_state(spec.preparation["vocabulary"])
    unknown = vocabulary.unknown_in(prompt)
    if unknown:
        raise DataError(
            f"The prompt holds {', '.join(map(repr, unknown[:5]))}, which the training text never did. Leave it out."
        )
    codes = [int(code) for code in vocabulary.encode(prompt)]
    first = codes or [_first_token(vocabulary, spec.class_counts)]
    new = continue_tokens(body, first, length, how or Sampling())
    if vocabulary.kind == "word":
        return vocabulary.decode([*first, *new])
    return prompt + vocabulary.decode(new if codes else [*first, *new]).removeprefix("" if codes else "\n")


@torch.inference_mode()
def continue_tokens(body: Any, codes: Sequence[int], length: int, how: Sampling) -> list[int]:
    """Up to `length` further tokens, each drawn from what the network says of those before it; END ends them.

    What was computed for earlier places is kept (`extend`). A network that sees a limited number of places goes on
    from the last half of them whenever they are full.
    """
    generator = how.generator()
    device = next(body.parameters()).device
    most = body.most_places
    text = list(codes)
    fresh, state = text[-most:] if most else text, None
    seen = 0
    new: list[int] = []
    while len(new) < length:
        if most and seen + len(fresh) > most:
            fresh, state, seen = text[-max(1, most // 2) :], None, 0
        logits_1TV, state = body.extend(torch.tensor([fresh], device=device), state)
        seen += len(fresh)
        token = int(choose(logits_1TV[:, -1], how, generator))
        if token == END:
            break
        new.append(token)
        text.append(token)
        fresh = [token]
    return new


def write_for(run: Run | str | Path, source: Any) -> tuple[list[str], list[str]]:
    """What a network of pairs or captions says to each source, the likeliest token at every place; and remarks.

    `source` is a text, a list of texts or a text file with one on each line; for captions an image, a folder or an
    archive of them.

    Raises:
        ModelError: the run writes no texts for sources.
        DataError: no source, or one that is longer than the network takes.
    """
    trained = load_trained(run)
    kind = trained.spec.kind
    if kind not in WRITERS:
        raise ModelError(
            f"{trained.run.path} writes nothing for sources: its data are of kind {kind}. "
            + ("Give --prompt." if kind == "text" else "Train on pairs of texts or on captions.")
        )
    return WRITERS[kind](trained, source)


@torch.inference_mode()
def decode_greedy(body: Any, inputs: tuple[Tensor, ...], most: int) -> Tensor:
    """The likeliest token at each place until every sequence has ended, (B, T), T <= most; PADDING behind an END."""
    memory = body.encode(*inputs)
    batch, device = len(inputs[0]), inputs[0].device
    given_BT = torch.full((batch, 1), START, dtype=torch.int64, device=device)
    ended_B = torch.zeros(batch, dtype=torch.bool, device=device)
    for _ in range(most):
        logits_BV = body.decode(memory, given_BT)[:, -1].float()
        logits_BV[:, NEVER] = -torch.inf
        token_B = logits_BV.argmax(dim=1).masked_fill(ended_B, PADDING)
        given_BT = torch.cat((given_BT, token_B.unsqueeze(1)), dim=1)
        ended_B = ended_B | (token_B == END)
        if bool(ended_B.all()):
            break
    return given_BT[:, 1:]


def _translate(trained: Trained, source: Any) -> tuple[list[str], list[str]]:
    spec = trained.spec
    vocabulary = Vocabulary.from_state(spec.preparation["source_vocabulary"])
    texts = _texts(source)
    codes = [vocabulary.encode(text) for text in texts]
    most = spec.input_shape[0]
    for text, each in zip(texts, codes, strict=True):
        if not 0 < len(each) <= most:
            raise DataError(f"The source {text[:40]!r} has {len(each)} tokens; the network takes 1 to {most}.")
    unknown = list(dict.fromkeys(piece for text in texts for piece in vocabulary.unknown_in(text)))
    shown = ", ".join(map(repr, unknown[:10]))
    remarks = [f"Not in the training sources, and read as unknown: {shown}."] if unknown else []
    written: list[str] = []
    for start in range(0, len(codes), BATCH):
        part = codes[start : start + BATCH]
        tokens_BS = np.full((len(part), max(map(len, part))), PADDING, np.int64)
        for row, each in enumerate(part):
            tokens_BS[row, : len(each)] = each
        inputs = (torch.from_numpy(tokens_BS), torch.tensor([len(each) for each in part]))
        written += _decoded(trained, decode_greedy(_body(trained), inputs, spec.output_shape[0]))
    return written, remarks


def _describe(trained: Trained, source: Any) -> tuple[list[str], list[str]]:
    from limpid.deploy.image_samples import find_images

    rows = find_images(Path(source), trained.spec.preparation)
    written: list[str] = []
    for index_B in torch.arange(len(rows)).split(BATCH):
        image_BCHW = trained.network.scale(rows.take(index_B)[0])  # type: ignore[operator]
        written += _decoded(trained, decode_greedy(_body(trained), (image_BCHW,), trained.spec.output_shape[0]))
    if len(rows) > 1:
        written = [f"{name}\t{text}" for name, text in zip(rows.names, written, strict=True)]
    return written, []


WRITERS = {"pairs": _translate, "captions": _describe}


def _decoded(trained: Trained, tokens_BT: Tensor) -> list[str]:
    vocabulary = Vocabulary.from_state(trained.spec.preparation["vocabulary"])
    return [vocabulary.decode(row) for row in tokens_BT.tolist()]


def _texts(source: Any) -> list[str]:
    """A list of texts as it is, the lines of a file, or the one text that was given."""
    if not isinstance(source, str | Path):
        return list(source)
    if isinstance(source, Path) or (len(source) < 1024 and "\n" not in source and Path(source).is_file()):
        from limpid.data.text_files import read_text

        lines = [line for line in read_text(source).splitlines() if line.strip()]
        if not lines:
            raise DataError(f"{source} holds no text. Expected one source on each line.")
        return lines
    return [source]


def _body(trained: Trained) -> Any:
    body = getattr(trained.network, "body", None)
    assert isinstance(body, nn.Module)
    return body


def _first_token(vocabulary: Vocabulary, counts: Sequence[int]) -> int:
    """A new line, or the commonest token."""
    newline = [] if vocabulary.kind == "word" else vocabulary.encode("\n").tolist()
    if len(newline) == 1 and newline[0] not in NEVER:
        return int(newline[0])
    text_counts = [0 if code <= END else count for code, count in enumerate(counts)]
    return int(np.argmax(text_counts))
