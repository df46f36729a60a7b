"""Networks for what comes one after the other: series, texts, pairs of texts, captions; and images as patches."""

from __future__ import annotations

from limpid.catalogue.model_part import ModelPart
from limpid.catalogue.part import Option

SEQUENCES = ("series", "text", "image", "array", "vector")
LABELS = ("classification", "binary", "multilabel", "regression")
UNITS = Option(128, "units of a layer", least=1)
LAYERS = Option(1, "layers on each other", least=1)
POOL = Option(
    "auto",
    "what is read of the outputs: the last before a sequence's end, or their mean (auto: texts mean, others last)",
    choices=("auto", "last", "mean"),
)
BIDIRECTIONAL = Option(False, "a second half reads from the end")
VARIATIONAL = Option(False, "dropout between layers silences the same units at every step")
CELL = Option("fused", "torch's fused cell, or our own as the equations have it", choices=("fused", "written"))
FORECAST = {
    "relative": Option(True, "a forecast relative to level and spread of its window, so that a trend can go on")
}
STACK = {
    "units": UNITS,
    "layers": LAYERS,
    "bidirectional": BIDIRECTIONAL,
    "variational": VARIATIONAL,
    "cell": CELL,
    "pool": POOL,
    **FORECAST,
}
WIDTH = Option(128, "numbers of a place, a multiple of heads", least=1)
HEADS = Option(4, "heads of attention side by side", least=1)
RECURRENCE = Option("gru", "cell of both networks", choices=("rnn", "lstm", "gru"))
ATTENTION = ("none", "additive", "dot")

# A recurrent gradient explodes now and then (Pascanu et al. 2013), so that its norm is held.
RECURRENT_SETTINGS = {"optim.clip_norm": 1.0, "optim.lr": 5e-3}
# Attention is trained with a warm-up and AdamW at a thousandth; larger rates need luck.
ATTENTION_SETTINGS = {"optim.clip_norm": 1.0, "optim.lr": 1e-3, "optim.schedule": "one_cycle", "optim.warmup": 0.1}


def _positions(default: str, *more: str) -> Option:
    return Option(default, "how a place is told", choices=("learned", "sinusoidal", *more))


PARTS = (
    ModelPart(
        name="rnn",
        home="limpid.models.recurrent:build_rnn",
        what="plain recurrent units",
        source="Elman 1990",
        year=1990,
        formula="h_t = tanh(W h_{t-1} + U x_t + b), y = V h_T + c",
        pitfall="Gradients fade over tens of steps: it learns short gaps only. lstm and gru bridge long ones.",
        options={
            **STACK,
            "nonlinearity": Option(
                "tanh", "g of h = g(a); identity needs cell=written", choices=("tanh", "relu", "identity")
            ),
        },
        aliases=("recurrent", "elman", "vanilla rnn", "recurrent neural network"),
        family="recurrent",
        kinds=SEQUENCES,
        tasks=(*LABELS, "tokens"),
        settings={**RECURRENT_SETTINGS, "optim.lr": 2e-3},
    ),
    ModelPart(
        name="lstm",
        home="limpid.models.recurrent:build_lstm",
        what="long short-term memory",
        source="Hochreiter & Schmidhuber 1997; forget gate Gers et al. 2000",
        year=1997,
        formula="c_t = f c_{t-1} + i tanh(W_u [h, x] + b_u), h_t = o tanh(c_t); f, i, o = s(W [h, x] + b)",
        pitfall="One step after the other: time grows with the length, however many cores there are.",
        options={
            "units": UNITS,
            "layers": LAYERS,
            "bidirectional": BIDIRECTIONAL,
            "variational": VARIATIONAL,
            "cell": CELL,
            "pool": POOL,
            **FORECAST,
        },
        aliases=("long short-term memory",),
        family="recurrent",
        kinds=SEQUENCES,
        tasks=(*LABELS, "tokens"),
        settings=RECURRENT_SETTINGS,
    ),
    ModelPart(
        name="gru",
        home="limpid.models.recurrent:build_gru",
        what="gated recurrent units",
        source="Cho et al. 2014 (arXiv 1406.1078)",
        year=2014,
        formula="h_t = (1 - z) tanh(W_n x + r (U_n h + b)) + z h; r, z = s(W x + U h + b)",
        options={
            "units": UNITS,
            "layers": LAYERS,
            "bidirectional": BIDIRECTIONAL,
            "variational": VARIATIONAL,
            "cell": CELL,
            "pool": POOL,
            **FORECAST,
        },
        aliases=("gated recurrent unit",),
        family="recurrent",
        kinds=SEQUENCES,
        tasks=(*LABELS, "tokens"),
        settings=RECURRENT_SETTINGS,
    ),
    ModelPart(
        name="seq2seq",
        home="limpid.models.seq2seq:build_seq2seq",
        what="one recurrent network reads, another writes, with or without attention",
        source="Sutskever et al. 2014 (arXiv 1409.3215); Bahdanau et al. 2015; Luong et al. 2015",
        year=2014,
        formula="logits_t = W tanh(W_c [h_t, attention(h_t, memory)]) + b",
        pitfall="Trained on given targets, it writes from its own: an early mistake is carried on.",
        options={
            "units": UNITS,
            "layers": LAYERS,
            "recurrence": RECURRENCE,
            "both_ways": Option(True, "the reading network is bidirectional"),
            "attention": Option("additive", "how the writing network looks back", choices=ATTENTION),
        },
        aliases=("encoder-decoder", "sequence to sequence", "nmt", "bahdanau", "luong"),
        family="recurrent",
        kinds=("pairs",),
        tasks=("tokens",),
        settings={**RECURRENT_SETTINGS, "optim.lr": 3e-3},
    ),
    ModelPart(
        name="captioner",
        home="limpid.models.captioner:build_captioner",
        what="a convolutional network looks, a recurrent one writes",
        source="Vinyals et al. 2015 (arXiv 1411.4555)",
        year=2015,
        formula="h_0 = tanh(W cnn(image) + b), h_t = f(h_{t-1}, E[y_t])",
        options={
            "units": UNITS,
            "layers": LAYERS,
            "recurrence": RECURRENCE,
            "channels": Option(32, "channels of the first stage; later ones have up to four times as many", least=1),
            "attention": Option("none", "to the places of the image", choices=ATTENTION),
        },
        aliases=("show and tell", "image captioning", "cnn rnn"),
        family="recurrent",
        kinds=("captions",),
        tasks=("tokens",),
        settings={**RECURRENT_SETTINGS, "optim.lr": 3e-3},
    ),
    ModelPart(
        name="gpt",
        home="limpid.models.gpt:build_gpt",
        what="language model: each place sees what stands before it",
        source="Radford et al. 2019 (GPT-2), small",
        year=2019,
        formula="logits_t = E norm(blocks(E[x_t] + p_t))",
        pitfall="It sees `context` tokens and no more; time and memory of attention grow with the square.",
        options={
            "width": WIDTH,
            "heads": HEADS,
            "layers": Option(4, "blocks on each other", least=1),
            "positions": _positions("learned", "rope"),
            "bias": Option(False, "biases in dense layers and norms"),
            "tied": Option(True, "one matrix for reading and naming tokens"),
        },
        aliases=("language model", "causal transformer", "decoder-only", "nanogpt"),
        family="attention",
        kinds=("text",),
        tasks=("tokens",),
        settings={**ATTENTION_SETTINGS, "optim.lr": 3e-3},
    ),
    ModelPart(
        name="fasttext",
        home="limpid.models.fasttext:build_fasttext",
        what="the mean of the tokens' vectors, and one linear layer: which words, not in which order",
        source="Joulin et al. 2016 (arXiv 1607.01759), without its pairs of words; Iyyer et al. 2015 on dropout",
        year=2016,
        formula="y = W (1/T) sum_t E[x_t] + b",
        pitfall="Blind to order: 'not good, but bad' is 'not bad, but good'. lstm and encoder read on.",
        options={"width": Option(64, "numbers of a token's vector", least=1)},
        aliases=("bag of words", "embedding bag", "mean of embeddings", "deep averaging network"),
        family="dense",
        kinds=("text",),
        tasks=LABELS,
        most_tokens=4096,
        settings={"model.dropout": 0.5, "optim.lr": 1e-2},
    ),
    ModelPart(
        name="encoder",
        home="limpid.models.encoder:build_encoder",
        what="Transformer encoder: every place sees every other",
        source="Vaswani et al. 2017 (arXiv 1706.03762), the encoder alone",
        year=2017,
        formula="y = W mean_t norm(blocks(x_t + p_t)) + b",
        pitfall="Every place sees what follows it: not for predicting next tokens (gpt is).",
        options={
            "width": WIDTH,
            "heads": HEADS,
            "layers": Option(2, "blocks on each other", least=1),
            "positions": _positions("sinusoidal", "rope"),
            **FORECAST,
        },
        aliases=("transformer encoder", "bert"),
        family="attention",
        kinds=SEQUENCES,
        tasks=(*LABELS, "tokens"),
        settings=ATTENTION_SETTINGS,
    ),
    ModelPart(
        name="transformer",
        home="limpid.models.transformer:build_transformer",
        what="an encoder reads, a decoder writes and looks at what was read",
        source="Vaswani et al. 2017 (arXiv 1706.03762)",
        year=2017,
        formula="softmax(Q K^T / sqrt(d)) V in every block",
        pitfall="Trained on given targets, it writes from its own: an early mistake is carried on.",
        options={
            "width": WIDTH,
            "heads": HEADS,
            "layers": Option(2, "blocks of the encoder, and of the decoder", least=1),
            "positions": _positions("sinusoidal"),
        },
        aliases=("translation", "attention", "attention is all you need"),
        family="attention",
        kinds=("pairs",),
        tasks=("tokens",),
        settings=ATTENTION_SETTINGS,
    ),
    ModelPart(
        name="vit",
        home="limpid.models.vit:build_vit",
        what="Transformer over the patches of an image, small",
        source="Dosovitskiy et al. 2021 (arXiv 2010.11929)",
        year=2021,
        formula="y = W mean_i norm(blocks(E patch_i + p_i)) + b",
        pitfall="It knows nothing of neighbouring pixels beforehand: on few images convolutions learn faster.",
        options={
            "width": WIDTH,
            "heads": HEADS,
            "layers": Option(4, "blocks on each other", least=1),
            "patch": Option(0, "side of a patch in pixels; 0: at least 4, for 256 patches at most", least=0),
            "positions": _positions("learned"),
        },
        aliases=("vision transformer",),
        family="attention",
        kinds=("image",),
        settings=ATTENTION_SETTINGS,
    ),
)
