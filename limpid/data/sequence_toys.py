"""Generated sequences, melodies, pairs and scenes, small enough to see what a network does with them.

Their readers are imported when one is made: every run looks at the list of generators.

Shapes: T steps, F features, H x W pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from limpid.config import DataConfig
from limpid.data.array_dataset import target_columns
from limpid.data.dataset import Dataset
from limpid.errors import ConfigError

Random = np.random.Generator
Floats = NDArray[np.float32]

# Sequence sums: lengths and values. Both of the examples that everybody starts with are among them.
SUM_LENGTHS, SUM_VALUES = (2, 5), (0, 12)
SUM_EXAMPLES = (((1.0, 3.0, 7.0), 11.0), ((12.0, 5.0), 17.0))

# Toy spoken tones: the pitch over a syllable, in octaves around the speaker's own.
TONES: dict[str, Callable[[Floats], Floats]] = {
    "level": lambda t: np.full_like(t, 0.4),
    "rising": lambda t: -0.3 + 0.7 * t,
    "dipping": lambda t: 0.2 - 2.4 * t * (1 - t),
    "falling": lambda t: 0.5 - t,
}
TONE_BANDS = 12  # energies of pitch bands, a quarter octave apart
TONE_LENGTHS = (20, 40)

SCALE = ("C4", "D4", "E4", "F4", "G4", "A4", "B4", "C5")
MOTIF_NOTES = 4

UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
UNITS += "seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
REVERSED_LENGTHS = (3, 8)

SCENE_SIDE, SHAPE_RADIUS = 32, 6
COLOURS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 80, 220), "yellow": (230, 210, 40)}
PLACES = {
    "top left": (9, 9), "top right": (9, 23), "bottom left": (23, 9), "bottom right": (23, 23), "centre": (16, 16),
}  # fmt: skip
SHAPES = ("circle", "square", "triangle")


@dataclass(frozen=True)
class SequenceToy:
    """A generator of a whole data set. Noise None: it has none."""

    load: Callable[[int, float, Random, DataConfig, int], Dataset]
    description: str
    size: int
    noise: float | None = 0.0
    most: int | None = None  # samples that there can be


def load_sequence_toy(name: str, config: DataConfig, *, seed: int) -> Dataset:
    """A generated data set by name; `config.size` and `config.noise` set its size and noise.

    Raises ConfigError for noise where there is none, and for more samples than there are.
    """
    toy = SEQUENCE_TOYS[name]
    if toy.noise is None and config.noise:
        raise ConfigError(f"data.noise = {config.noise:g}: {name} has no noise. Leave it out.")
    if toy.most is not None and (config.size or 0) > toy.most:
        raise ConfigError(f"data.size = {config.size}: {name} has {toy.most:,} different samples. Ask for fewer.")
    noise = (toy.noise or 0.0) if config.noise is None else config.noise
    random = np.random.default_rng([seed, sum(name.encode())])
    return toy.load(config.size or toy.size, noise, random, config, seed)


def number_in_words(number: int) -> str:
    """English words of a number from 0 to 9999.

    >>> number_in_words(4071)
    'four thousand seventy one'
    """
    if number < 20:
        return UNITS[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS[tens - 2] + (f" {UNITS[ones]}" if ones else "")
    size, word = (1000, "thousand") if number >= 1000 else (100, "hundred")
    many, rest = divmod(number, size)
    return f"{UNITS[many]} {word}" + (f" {number_in_words(rest)}" if rest else "")


def _sequence_sum(size: int, noise: float, random: Random, config: DataConfig, seed: int) -> Dataset:
    """Numbers and their sum, in raw units; noise is added to the sum."""
    sequences = [np.array(x, np.float32)[:, None] for x, _ in SUM_EXAMPLES]
    while len(sequences) < size:
        length = random.integers(SUM_LENGTHS[0], SUM_LENGTHS[1] + 1)
        sequences.append(random.integers(SUM_VALUES[0], SUM_VALUES[1] + 1, (length, 1)).astype(np.float32))
    sums = np.array([each.sum() for each in sequences]) + noise * random.standard_normal(size)
    config = config if config.task != "auto" else config.model_copy(update={"task": "regression"})
    return _sequences("sequence-sum", sequences, sums, "sum", ("x",), config, seed, scaled=False)


def _tones(size: int, noise: float, random: Random, config: DataConfig, seed: int) -> Dataset:
    """Energies of pitch bands: a bump that follows the tone, around the pitch of a speaker."""
    names = tuple(TONES)
    labels = np.arange(size) % len(names)
    bands_F = np.arange(TONE_BANDS) / 4 - 1.375  # octaves
    sequences = []
    for label in labels:
        time_T = np.linspace(0, 1, random.integers(TONE_LENGTHS[0], TONE_LENGTHS[1] + 1), dtype=np.float32)
        pitch_T = TONES[names[label]](time_T) + random.uniform(-0.6, 0.6)
        energy_TF = np.exp(-0.5 * ((bands_F - pitch_T[:, None]) / 0.2) ** 2)
        sequences.append((energy_TF + noise * random.standard_normal(energy_TF.shape)).astype(np.float32))
    features = tuple(f"band{i}" for i in range(TONE_BANDS))
    return _sequences("tones", sequences, np.array(names)[labels], "tone", features, config, seed)


def _notes(size: int, noise: float, random: Random, config: DataConfig, seed: int) -> Dataset:
    """Melodies in C major: a motif, the motif one step higher, the motif again, and a way home to C.

    With the probability `noise` a note is any note of the scale instead.
    """
    from limpid.data.text import text_dataset

    melodies = []
    for _ in range(size):
        motif = [int(random.integers(0, 5))]
        while len(motif) < MOTIF_NOTES:
            motif.append(int(np.clip(motif[-1] + random.choice((-1, 1, 2)), 0, 6)))
        home = list(range(motif[-1], -1, -1)) if motif[-1] else [4, 0]
        places = [*motif, *(place + 1 for place in motif), *motif, *home]
        wrong = random.random(len(places)) < noise
        places = [int(random.integers(0, 8)) if w else p for p, w in zip(places, wrong, strict=True)]
        melodies.append(" ".join(SCALE[place] for place in places) + " |")
    return text_dataset("\n".join(melodies), config, name="notes", origin="notes", default_tokens="word")


def _number_words(size: int, noise: float, random: Random, config: DataConfig, seed: int) -> Dataset:
    """Different numbers below ten thousand in digits, and in words."""
    from limpid.data.pairs import pairs_dataset, pairs_of

    numbers = random.permutation(10_000)[:size].tolist()
    sources, targets = [str(n) for n in numbers], [number_in_words(n) for n in numbers]
    return pairs_dataset(
        pairs_of(sources, targets, "digits", "words"), config, seed, name="number-words", origin="numbers"
    )


def _reversed(size: int, noise: float, random: Random, config: DataConfig, seed: int) -> Dataset:
    """Different strings of letters, and the same from back to front."""
    from limpid.data.pairs import pairs_dataset, pairs_of

    found: dict[str, None] = {}
    while len(found) < size:
        length = random.integers(REVERSED_LENGTHS[0], REVERSED_LENGTHS[1] + 1)
        found["".join(chr(97 + k) for k in random.integers(0, 26, length))] = None
    sources = list(found)
    pairs = pairs_of(sources, [text[::-1] for text in sources], "text", "reversed")
    return pairs_dataset(pairs, config, seed, name="reversed", origin="reversed")


def _scenes(size: int, noise: float, random: Random, config: DataConfig, seed: int) -> Dataset:
    """One shape on a grey ground, and a sentence that says what, in which colour, and where."""
    from limpid.data.captions import Captioned, captions_dataset

    pixels = np.empty((size, 3, SCENE_SIDE, SCENE_SIDE), np.uint8)
    captions = []
    colours, places = list(COLOURS), list(PLACES)
    for n in range(size):
        shape, colour, place = (words[random.integers(len(words))] for words in (SHAPES, colours, places))
        inside_HW = _shape_mask(shape, PLACES[place], random)
        image = np.full((SCENE_SIDE, SCENE_SIDE, 3), random.integers(90, 140), np.float64)
        image[inside_HW] = COLOURS[colour]
        image += 255 * noise * random.standard_normal(image.shape)
        pixels[n] = np.clip(image, 0, 255).astype(np.uint8).transpose(2, 0, 1)
        captions.append(f"a {colour} {shape} {'in' if place == 'centre' else 'at'} the {place}")
    digest = hashlib.sha256(pixels.tobytes() + repr(captions).encode()).hexdigest()
    found = Captioned(
        pixels, captions, np.arange(size), None, digest, {"size": [SCENE_SIDE] * 2, "colour": "rgb", "fit": "crop"}
    )
    return captions_dataset(found, config, seed, name="scenes", origin="scenes")


def _shape_mask(shape: str, middle: tuple[int, int], random: Random) -> NDArray[np.bool_]:
    """Pixels of a shape, up to two pixels beside its place and a little smaller or larger."""
    row, column = (place + int(random.integers(-2, 3)) for place in middle)
    radius = SHAPE_RADIUS + int(random.integers(-1, 2))
    down, right = np.mgrid[:SCENE_SIDE, :SCENE_SIDE]
    down, right = down - row, right - column
    if shape == "circle":
        return np.asarray(down**2 + right**2 <= radius**2)
    if shape == "square":
        return np.asarray((np.abs(down) < radius) & (np.abs(right) < radius))
    return np.asarray((np.abs(down) <= radius) & (2 * np.abs(right) <= down + radius))


def _sequences(
    name: str,
    sequences: list[Floats],
    targets: NDArray[np.generic],
    target: str,
    features: tuple[str, ...],
    config: DataConfig,
    seed: int,
    *,
    scaled: bool = True,
) -> Dataset:
    from limpid.data.sequences import Sequences, sequences_dataset

    digest = hashlib.sha256(np.concatenate(sequences).tobytes() + targets.tobytes()).hexdigest()
    preparation = {"features": list(features)}
    columns = target_columns(targets, target)
    found = Sequences(sequences, columns, features, np.arange(len(sequences)), digest, preparation)
    return sequences_dataset(found, config, seed, name=name, origin=name, scaled=scaled)


SEQUENCE_TOYS: dict[str, SequenceToy] = {
    "sequence-sum": SequenceToy(_sequence_sum, "two to five numbers and their sum: (1, 3, 7) -> 11", 2000),
    "tones": SequenceToy(_tones, "toy spoken tones, 20 to 40 frames of 12 bands, 4 classes", 1200, noise=0.2),
    "notes": SequenceToy(_notes, "melodies in C major as text, a note a token: what comes next?", 1500),
    "number-words": SequenceToy(_number_words, "pairs: 407 -> four hundred seven", 6000, None, 10_000),
    "reversed": SequenceToy(_reversed, "pairs: strings of three to eight letters from back to front", 10_000, None),
    "scenes": SequenceToy(_scenes, "32x32 scenes with captions: a red circle at the top left", 3000, noise=0.02),
}
