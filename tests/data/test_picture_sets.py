"""Drawn letters, digits, cards and shapes (F7, F11, F17)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from limpid.config import DataConfig
from limpid.data.builtin import load_builtin
from limpid.data.glyphs import OWN_FONT, bend, draw_glyph, find_fonts
from limpid.data.images import load_images
from limpid.data.picture_sets import (
    PICTURE_SETS,
    is_inside,
    make_pictures,
    make_retina_letters,
    make_squares,
    write_class_folders,
)


@pytest.mark.spec("F7", "F11", "F17")
@pytest.mark.parametrize("name", PICTURE_SETS)
def test_sizes_classes_and_seeds(name: str) -> None:
    pictures, names = make_pictures(name, size=60, noise=None, seed=3)
    again, _ = make_pictures(name, size=60, noise=None, seed=3)
    noisy, _ = make_pictures(name, size=60, noise=0.1, seed=3)
    assert pictures.dtype == np.uint8
    assert len(pictures) == len(names) == 60
    assert set(names) == set(PICTURE_SETS[name].classes)
    assert np.array_equal(pictures, again)
    assert 5 < (noisy.astype(float) - pictures).std() < 26
    if name != "retina-letters":  # which are all the same but for their order
        assert not np.array_equal(pictures, make_pictures(name, size=60, noise=None, seed=4)[0])


@pytest.mark.spec("F17")
@pytest.mark.parametrize("squares", [True, False])
def test_a_card_has_marks_on_its_own_half_only(squares: bool) -> None:
    cards, side_N = make_squares(200, np.random.default_rng(0), squares=squares)
    assert cards.shape == (200, 1, 20, 20)
    assert set(np.unique(cards)) == {0, 255}
    halves = np.stack([cards[:, 0, :, :10].any((1, 2)), cards[:, 0, :, 10:].any((1, 2))], axis=1)
    assert (halves[np.arange(200), side_N]).all()
    assert not halves[np.arange(200), 1 - side_N].any()
    marks = (cards > 0).sum((1, 2, 3))
    assert ((marks == 20) if not squares else ((marks >= 16) & (marks <= 48))).all()


@pytest.mark.spec("F17")
def test_retina_letters_are_moved_by_one_pixel_at_most() -> None:
    pictures, label_N = make_retina_letters(234, np.random.default_rng(0))
    assert pictures.shape == (234, 1, 20, 20)
    assert len({picture.tobytes() for picture in pictures}) == 234
    for letter in (0, 12, 22):
        own = pictures[label_N == letter, 0]
        middle = own[4]  # moves count from (-1, -1) to (1, 1)
        for number, picture in enumerate(own):
            assert np.array_equal(picture, np.roll(middle, (number // 3 - 1, number % 3 - 1), (0, 1)))


@pytest.mark.spec("F11")
def test_letters_in_class_folders_come_back_by_the_loader_of_folders(tmp_path: Path) -> None:
    pictures, names = make_pictures("letters", size=80, noise=None, seed=0)
    write_class_folders(pictures, names, tmp_path / "letters")
    dataset = load_images(tmp_path / "letters", DataConfig(valid_share=0.0, test_share=0.0), 0)
    assert dataset.spec.classes == tuple("ABCDEFGHIJ")
    assert dataset.spec.input_shape == (1, 28, 28)
    read = dataset.train.rows.take(torch.arange(80))[0].numpy()
    order = np.argsort([f"{name}{number:06}" for number, name in enumerate(names)])
    assert np.array_equal(read, pictures[order])
    assert load_builtin("letters", DataConfig(size=80), seed=0).spec.classes == dataset.spec.classes


def test_fonts_draw_every_character() -> None:
    fonts = find_fonts("ABCDEFGHIJ")
    assert fonts[0] == OWN_FONT
    for font in fonts:
        drawn = {draw_glyph(each, font, 20, (28, 28)).tobytes() for each in "ABCDEFGHIJ"}
        assert len(drawn) == 10
    ink = np.argwhere(draw_glyph("H", OWN_FONT, 20, (28, 28)) > 127)
    assert np.abs(ink.min(0) + ink.max(0) - 27).max() <= 2, "in the middle"


def test_bending_by_nothing_halves_the_resolution() -> None:
    glyph = draw_glyph("B", OWN_FONT, 40, (56, 56))
    bent = bend(glyph, np.random.default_rng(0), degrees=0, shear=0, stretch=0, shift=0)
    expected = glyph.reshape(28, 2, 28, 2).astype(float).mean((1, 3))
    assert np.abs(bent - expected).max() <= 1


def test_shapes_lie_in_their_circle_and_have_their_areas() -> None:
    at = (np.arange(400) + 0.5) / 200 - 1
    y, x = at[:, None], at[None, :]
    areas = [np.pi, 2.0, 3 * np.sqrt(3) / 4, 2 * 1.8 * 0.6 - 0.6**2]
    for shape, area in enumerate(areas):
        inside = is_inside(shape, y, x)
        assert inside.mean() * 4 == pytest.approx(area, rel=0.01)
        assert not (inside & (y**2 + x**2 > 1)).any()
