"""A network as text: layers in a row, groups in brackets, repeats behind a star.

    [conv32-relu]*2 pool [conv64@5x5/s2 - bn - relu]*3 -> gap -> fc128 relu dropout0.5 -> fc

- Layers are separated by spaces, "-", "->" or commas. A layer is a word, a number and options: conv32 (32 filters),
  fc128 (128 units), dropout0.5 (share dropped), maxpool3 (a window of 3 x 3), avgpool, lrn5, se16, lstm64, bn, gap.
- @5 or @5x3 is the kernel of a convolution (rows x columns); 1x1conv64 says the same as conv64@1.
- /s2 or /2 is the stride, /p1 the padding (convolutions keep the size unless told: /p0 pads nothing), /g2 the groups,
  /d2 the dilation, /nobias leaves out the bias, /ceil rounds the size of a pooled map up.
- [ ... ]*3 or ( ... )*3 repeats; res[ ... ] adds its input to its output; cat[ ... | ... ] puts branches side by side.
- Activations go by their names, with options in brackets: relu, tanh, leaky_relu(0.1).
- pool? is left out where the map is smaller than its window. A leading "input" is read over.

This file turns the text into nodes that know their place in it; models/pattern.py turns nodes into a network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from limpid.errors import ModelError, nearest

ALIASES = {
    "convolution": "conv",
    "dense": "fc",
    "linear": "fc",
    "max_pool": "maxpool",
    "avg_pool": "avgpool",
    "pool": "maxpool",
    "batchnorm": "bn",
    "batch_norm": "bn",
    "layernorm": "ln",
    "layer_norm": "ln",
    "drop": "dropout",
    "norm": "lrn",
    "globalavgpool": "gap",
    "global_average_pool": "gap",
}
LAYERS = (
    *("conv", "fc", "maxpool", "avgpool", "gap", "bn", "ln", "lrn", "dropout", "se", "flatten", "lstm", "rnn"),
    "input",
)
GROUPS = ("res", "cat")
MOST_REPEATS = 1000  # of a group: beyond any network that anyone trained, within what a slip of the finger may cost

TOKEN = re.compile(
    r"(?P<skip>\s+|->|→|-|,)|(?P<call>[a-z][a-z_0-9]*\([^()\[\]]*\))|(?P<open>(?:[A-Za-z]+)?[\[(])|(?P<close>[\])])|(?P<bar>\|)"
    r"|(?P<repeat>[*×]\s*\S*?(?=[\s\[\]()|,\-]|$))|(?P<layer>[\w.@/]+\??)"
)
OPENING = re.compile(r"(?P<open>[A-Za-z]+\()")
LAYER = re.compile(
    r"(?:(?P<side>\d+)(?:x(?P<side2>\d+))?(?=[a-z]))?(?P<word>[a-z_]+)(?P<size>\d+(?:\.\d+)?|\.\d+)?"
    r"(?:@(?P<kernel>\d+)(?:x(?P<kernel2>\d+))?)?(?P<options>(?:/[a-z]*\d*)*)(?P<optional>\?)?"
)
OPTION = re.compile(r"(s|p|g|d)?(\d+)|nobias|ceil")
TAKES = {  # options of a layer
    "conv": ("s", "p", "g", "d", "nobias"),
    "fc": ("nobias",),
    "maxpool": ("s", "p", "ceil"),
    "avgpool": ("s", "p", "ceil"),
}
BRACKETS = {"[": "]", "(": ")"}


@dataclass(frozen=True)
class Layer:
    """One layer: its canonical word, its number, and where it stands in the text."""

    word: str
    start: int
    end: int
    size: float | None = None
    kernel: tuple[int, int] | None = None  # rows, columns
    options: dict[str, int] = field(default_factory=dict)
    optional: bool = False


@dataclass(frozen=True)
class Group:
    """Nodes in brackets. `kind` is "" (in a row), "res" or "cat"; only "cat" has several branches."""

    kind: str
    branches: tuple[tuple[Layer | Group, ...], ...]
    repeat: int
    start: int
    end: int


Node = Layer | Group


def looks_like_pattern(name: str) -> bool:
    """Whether a model's name is meant as a pattern: it has brackets, spaces or arrows, or begins with a layer."""
    text = name.strip()
    if any(mark in text for mark in ("[", "]", "(", ")", "->", "→", "|", "*", ",", " ")):
        return True
    first, *_, last = [LAYER.fullmatch(part) for part in (2 * (text.lower() + "-")).split("-")[:-1]]
    if first is None or _plain(first["word"]) not in LAYERS:
        return False
    # "se-resnext" may be a network of a library; "se-fc" and "conv3-..." are none.
    return first["size"] is not None or (last is not None and _plain(last["word"]) in LAYERS)


def parse_pattern(text: str, activations: Mapping[str, str]) -> tuple[Node, ...]:
    """The nodes of a pattern. `activations` are the words that may stand for one, and their names.

    Raises ModelError, with a line that points at the place, for an unknown word, an option that the layer does not
    have, a number that makes no sense, or brackets that do not match.
    """
    parser = _Parser(text, activations)
    nodes = parser.sequence(None)
    if not nodes:
        raise ModelError(f"model.name={text!r} holds no layer; write for example '[conv32-relu-pool]*2 fc'.")
    return nodes


def pointed(text: str, start: int, end: int, message: str) -> ModelError:
    """The error for one place of a pattern: the message, the pattern, and a line that points at the place."""
    line = " ".join(text.splitlines()) if "\n" in text else text
    return ModelError(f"{message}\n  {line}\n  {' ' * start}{'^' * max(end - start, 1)}")


class _Parser:
    def __init__(self, text: str, activations: Mapping[str, str]) -> None:
        self.text = text
        self.activations = {word.replace("_", "").replace(" ", ""): name for word, name in activations.items()}
        self.tokens = list(self._tokens())
        self.place = 0

    def _tokens(self) -> Iterator[tuple[str, str, int]]:
        place = 0
        while place < len(self.text):
            match = TOKEN.match(self.text, place)
            if match is not None and match["call"] and self.activation(match["call"]) is None:
                match = OPENING.match(self.text, place)
            if match is None:
                raise pointed(
                    self.text, place, place + 1, f"The pattern has a {self.text[place]!r} that means nothing here."
                )
            kind = match.lastgroup
            assert kind is not None
            if kind != "skip":
                yield kind, match[0], place
            place = match.end()

    def activation(self, text: str) -> str | None:
        """The activation that a word names, in the catalogue's spelling, with its options as they are; else None."""
        word, bracket, options = text.lower().partition("(")
        name = self.activations.get(word.replace("_", ""))
        return None if name is None else name + bracket + options

    def sequence(self, opened: tuple[str, int] | None) -> tuple[Node, ...]:
        """Nodes up to the closing bracket, the bar, or the end. The closing token itself is left."""
        nodes: list[Node] = []
        while self.place < len(self.tokens):
            kind, token, start = self.tokens[self.place]
            if kind in ("close", "bar"):
                if opened is None:
                    raise pointed(self.text, start, start + 1, f"{token!r} closes or parts nothing that is open.")
                return tuple(nodes)
            self.place += 1
            if kind == "open":
                nodes.append(self.group(token, start))
            elif kind == "repeat":
                raise pointed(self.text, start, start + len(token), "A repeat stands behind brackets: [conv32-relu]*2.")
            else:
                nodes.append(self.layer(token, start))
        if opened is not None:
            bracket, place = opened
            raise pointed(self.text, place, place + 1, f"{bracket!r} is never closed.")
        return tuple(nodes)

    def group(self, token: str, start: int) -> Group:
        kind, bracket = token[:-1].lower(), token[-1]
        if kind and kind not in GROUPS:
            raise pointed(self.text, start, start + len(kind), f"There is no group {kind!r}; use res or cat.")
        opened = (bracket, start + len(kind))
        branches = [self.sequence(opened)]
        while True:
            closing, mark, place = self.tokens[self.place]
            self.place += 1
            if closing == "close":
                break
            if kind != "cat":
                raise pointed(self.text, place, place + 1, "'|' parts the branches of cat[ ... | ... ] only.")
            branches.append(self.sequence(opened))
        if mark != BRACKETS[bracket]:
            raise pointed(self.text, place, place + 1, f"{mark!r} does not close {bracket!r}.")
        if not all(branches):
            raise pointed(self.text, start, place + 1, "The brackets hold no layer.")
        repeat = 1
        if self.place < len(self.tokens) and self.tokens[self.place][0] == "repeat":
            _, times, at = self.tokens[self.place]
            self.place += 1
            number = times[1:].strip()
            if not number.isdecimal() or not 1 <= int(number) <= MOST_REPEATS:
                raise pointed(
                    self.text,
                    at,
                    at + len(times),
                    f"A repeat is a whole number from 1 to {MOST_REPEATS}; {number!r} is not.",
                )
            repeat, place = int(number), at + len(times) - 1
        return Group(kind, tuple(branches), repeat, start, place + 1)

    def layer(self, token: str, start: int) -> Layer:
        end = start + len(token)
        whole = token.lower().rstrip("?")
        if (activation := self.activation(whole)) is not None:
            return Layer(activation, start, end)
        match = LAYER.fullmatch(token.lower())
        word = "" if match is None else _plain(match["word"])
        if match is None or (word not in LAYERS and self.activation(word) is None):
            raise pointed(
                self.text,
                start,
                end,
                f"The pattern has no layer {token!r}." + self.hint(token),
            )
        if word not in LAYERS:
            raise pointed(self.text, start, end, f"{match['word']} takes no number and no options.")
        kernel = match["side"] or match["kernel"]
        second = match["side2"] or match["kernel2"] or kernel
        if kernel and word != "conv":
            raise pointed(self.text, start, end, f"{match['word']} has no kernel; write {match['word']}3 or /s2.")
        size = None if match["size"] is None else float(match["size"])
        whole_number = word not in ("dropout", "input")
        if size is not None and whole_number and (size != int(size) or size < 1):
            raise pointed(self.text, start, end, f"{match['word']} takes a whole number from 1, not {match['size']}.")
        options = self.options(word, match["options"], start, end)
        sides = None if not kernel else (int(kernel), int(second or kernel))
        if sides and min(sides) < 1:
            raise pointed(self.text, start, end, "A kernel is at least 1 x 1.")
        return Layer(word, start, end, size, sides, options, match["optional"] is not None)

    def hint(self, token: str) -> str:
        """The layer that was probably meant, or all that there are."""
        word = token.lower().rstrip("0123456789.?").partition("@")[0].partition("/")[0]
        near = nearest(word, (*LAYERS, *ALIASES, *self.activations.values()))
        if near is not None:
            return f" Did you mean {near}?"
        known = ", ".join(LAYERS[:-1])
        return f" There are {known}, the groups res[...] and cat[... | ...], and what `limpid activations` lists."

    def options(self, word: str, text: str, start: int, end: int) -> dict[str, int]:
        options: dict[str, int] = {}
        takes = TAKES.get(word, ())
        for part in text.split("/")[1:]:
            match = OPTION.fullmatch(part)
            key = part if match is None or match[2] is None else match[1] or "s"
            if match is None or key not in takes:
                known = f"has {', '.join('/' + k for k in takes)}" if takes else "has none"
                raise pointed(self.text, start, end, f"/{part} is not an option of {word}, which {known}.")
            options[key] = 1 if match[2] is None else int(match[2])
            if key != "p" and options[key] < 1:
                raise pointed(self.text, start, end, f"/{part}: at least 1.")
        return options


def _plain(word: str) -> str:
    return ALIASES.get(word, word)
