"""Data sets that are named but not shipped (F12 to F15, F21)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from limpid.config import DataConfig
from limpid.data.named import load_named
from limpid.data.outside import OUTSIDE
from limpid.data.sources import load_data, named_sources
from limpid.errors import DataError


@pytest.mark.spec("F15", "F21")
@pytest.mark.parametrize("name", OUTSIDE)
def test_one_without_a_copy_says_why_and_what_to_do(name: str) -> None:
    with pytest.raises(DataError, match=f"{name} is not here") as raised:
        load_data(name, DataConfig())
    assert OUTSIDE[name].instead in str(raised.value)
    assert named_sources()[name].startswith("not shipped")


@pytest.mark.spec("F14", "F21")
def test_a_local_copy_in_synset_folders_is_read(tmp_path: Path) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    for part, num in (("train", 6), ("val", 2)):
        for synset in ("n01440764", "n02102040", "n02979186"):
            folder = tmp_path / "imagenette2-160" / part / synset
            folder.mkdir(parents=True)
            for i in range(num):
                pixels = random.integers(0, 256, (20, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{synset}_{i}.JPEG", format="JPEG")
    dataset = load_data("imagenette", DataConfig(data_dir=str(tmp_path), image_size=16))
    assert dataset.spec.name == "imagenette"
    assert dataset.spec.classes == ("n01440764", "n02102040", "n02979186")
    assert dataset.spec.num_train + dataset.spec.num_valid + dataset.spec.num_test == 24


@pytest.mark.slow
@pytest.mark.spec("F12")
def test_cifar10_has_its_published_counts() -> None:
    folder = os.environ.get("LIMPID_DATA")
    if not folder:
        pytest.skip("set LIMPID_DATA to a folder that holds cifar10")
    data = load_named("cifar10", DataConfig(data_dir=folder, valid_share=0.0), 0)
    test = data.test()
    assert test is not None
    assert (len(data.train), len(test), len(data.spec.classes)) == (50_000, 10_000, 10)
    assert data.spec.input_shape == (3, 32, 32)
    # Pooled over all pixels: about 0.247, 0.243, 0.262, not the 0.2023, 0.1994, 0.2010 that many pipelines use (F6).
    assert data.spec.scale_mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=3e-3)
    assert data.spec.scale_std == pytest.approx((0.2470, 0.2435, 0.2616), abs=4e-3)


@pytest.mark.slow
@pytest.mark.spec("F13")
def test_cifar100_is_read_where_there_is_a_copy() -> None:
    folder = os.environ.get("LIMPID_DATA")
    if not folder or not any((Path(folder) / name).exists() for name in ("cifar100", "cifar-100-python")):
        pytest.skip("set LIMPID_DATA to a folder that holds cifar100")
    data = load_named("cifar100", DataConfig(data_dir=folder, valid_share=0.0), 0)
    assert (len(data.train), data.spec.num_test, len(data.spec.classes)) == (50_000, 10_000, 100)
