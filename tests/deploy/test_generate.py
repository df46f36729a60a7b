"""Text from trained networks: the engine on networks with random weights, the commands on short trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from limpid.config import ModelConfig
from limpid.deploy.generate import continue_tokens, decode_greedy, generate_text, write_for
from limpid.deploy.sampling import Sampling, choose
from limpid.errors import DataError, ModelError
from limpid.models import build_model
from limpid.spec import END, PADDING, START, DataSpec
from limpid.workbench import train

LANGUAGE = DataSpec(
    name="text", kind="text", task="tokens", input_shape=(16,), output_shape=(16,), num_outputs=30, vocabulary=30
)
PAIRS = DataSpec(
    name="pairs", kind="pairs", task="tokens", input_shape=(6,), output_shape=(9,), num_outputs=12, vocabulary=15
)
RHYME = "one two three four five six seven eight nine ten\n" * 150


def body_of(name: str, spec: DataSpec, **options: Any) -> Any:
    network = build_model(ModelConfig(name=name, options={"layers": 1, **options}), spec, seed=3).eval()
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():  # answers that differ from place to place
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return network.body.requires_grad_(False)


@pytest.mark.parametrize("name", ["gpt", "lstm", "rnn", "gru"])
def test_kept_state_writes_what_reading_all_again_would(name: str) -> None:
    body, how = body_of(name, LANGUAGE), Sampling(temperature=0.7, seed=4)
    with_state = continue_tokens(body, [5, 6, 7], 12, how)
    generator, codes = how.generator(), [5, 6, 7]
    for _ in range(12):
        token = int(choose(body(torch.tensor([codes]))[:, -1], how, generator))
        if token == END:
            break
        codes.append(token)
    assert with_state == codes[3:]
    assert len(with_state) > 3


@pytest.mark.parametrize("positions", ["learned", "rope"])
def test_it_goes_on_beyond_the_places_that_it_sees(positions: str) -> None:
    body = body_of("gpt", LANGUAGE, positions=positions)
    with torch.no_grad():
        body.head.weight[END] = 0.0
        body.head.weight[4:] *= 3
    text = continue_tokens(body, list(range(4, 29)), 60, Sampling(seed=1))
    assert len(text) > 16
    # After the places were full it saw the last eight tokens, and then one more at a time.
    context = list(range(4, 29))[-16:]
    first = int(choose(body(torch.tensor([context]))[:, -1], Sampling(seed=1), Sampling(seed=1).generator()))
    assert text[0] == first


@pytest.mark.parametrize(("name", "options"), [("transformer", {"width": 16, "heads": 2}), ("seq2seq", {"units": 16})])
def test_greedy_decoding_is_the_likeliest_token_given_those_before(name: str, options: dict[str, Any]) -> None:
    body = body_of(name, PAIRS, **options)
    source = torch.randint(4, 15, (5, 6)), torch.tensor([6, 3, 2, 6, 1])
    written_BT = decode_greedy(body, source, 9)
    assert written_BT.shape[1] <= 9
    given_BT = torch.cat((torch.full((5, 1), START), written_BT[:, :-1]), dim=1)
    logits_BTV = body(*source, given_BT)
    logits_BTV[:, :, [0, 1, 2]] = -torch.inf
    for row, wanted in zip(written_BT.tolist(), logits_BTV.argmax(dim=2).tolist(), strict=True):
        end = row.index(END) + 1 if END in row else len(row)
        assert row[:end] == wanted[:end]
        assert set(row[end:]) <= {PADDING}


@pytest.fixture(scope="module")
def language_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language")
    (folder / "rhyme.txt").write_text(RHYME)
    options = {
        "model__options": {"width": 32, "heads": 2, "layers": 1},
        "epochs": 20,
        "batch_size": 8,
        "record__report": False,
    }
    return train(folder / "rhyme.txt", model="gpt", out=str(folder / "run"), data__context=24, **options).path


def test_a_rhyme_is_learned_and_told(language_run: Path, limpid: Any) -> None:
    told = generate_text(language_run, "one two", length=42, how=Sampling(temperature=0))
    assert told == "one two three four five six seven eight nine ten\n"
    finished = limpid("generate", language_run, "--prompt", "one ", "--length", 9, "--temperature", 0)
    assert (finished.code, finished.out) == (0, "one two three\n")
    first, second, other = (generate_text(language_run, "one", length=30, how=Sampling(2.0, seed=s)) for s in (1, 1, 2))
    assert first == second != other
    assert len(generate_text(language_run, length=20, how=Sampling(seed=3))) == 20


def test_bad_requests_are_one_message(language_run: Path, limpid: Any) -> None:
    with pytest.raises(DataError, match="'Q'"):
        generate_text(language_run, "Q")
    with pytest.raises(ModelError, match="--prompt"):
        write_for(language_run, "source")
    for arguments in (("--prompt", "a", "--source", "b"), ("--temperature", "-1"), ("--prompt", "ÄÖ")):
        finished = limpid("generate", language_run, *arguments)
        assert finished.code == 2
        assert finished.err.count("\n") == 1


def test_pairs_are_translated_from_text_and_file(tmp_path: Path, limpid: Any) -> None:
    lines = [f"{a}{b}\t{b}{a}" for a in "abcdefgh" for b in "abcdefgh" for _ in range(2)]
    (tmp_path / "swap.tsv").write_text("\n".join(lines))
    options = {
        "model__options": {"units": 32, "layers": 1, "attention": "dot"},
        "epochs": 80,
        "batch_size": 16,
        "lr": 0.01,
        "record__report": False,
    }
    run = train(tmp_path / "swap.tsv", model="seq2seq", out=str(tmp_path / "run"), data__form="pairs", **options)
    written, remarks = write_for(run, ["ab", "gc"])
    assert (written, remarks) == (["ba", "cg"], [])
    (tmp_path / "sources.txt").write_text("de\nfh\n")
    finished = limpid("generate", run.path, "--source", tmp_path / "sources.txt")
    told, _ = write_for(run, ["de", "fh"])
    assert (finished.code, finished.out) == (0, "".join(f"{text}\n" for text in told))
    assert "'z'" in limpid("generate", run.path, "--source", "az").err
    assert limpid("generate", run.path, "--source", "abcdefgh").code == 2
    assert limpid("generate", run.path, "--prompt", "ab").code == 2
