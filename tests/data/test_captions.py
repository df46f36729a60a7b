"""Images with captions from a table and a folder."""

import numpy as np
import pytest
import torch
from PIL import Image

from limpid.config import DataConfig
from limpid.data.sources import load_data
from limpid.data.vocabulary import Vocabulary
from limpid.errors import DataError

COLOURS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}


def write(folder, num=24, size=(10, 12)):
    folder.mkdir(exist_ok=True)
    lines = ["file,caption"]
    for i in range(num):
        colour = list(COLOURS)[i % 3]
        pixels = np.full((*size, 3), COLOURS[colour], np.uint8)
        pixels[0, 0] = i
        Image.fromarray(pixels).save(folder / f"{i}.png")
        lines += [f"{i}.png,A {colour} picture.", f'{i}.png,"this one, it is {colour}"']
    (folder / "captions.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("by", ["folder", "table"])
def test_every_caption_goes_with_its_image(tmp_path, by):
    folder = write(tmp_path / "pictures")
    source = folder if by == "folder" else folder / "captions.csv"
    dataset = load_data(source, DataConfig(form="auto" if by == "folder" else "captions"))
    spec = dataset.spec
    assert (spec.kind, spec.task, spec.input_shape, spec.vocabulary) == ("captions", "tokens", (3, 10, 12), 0)
    vocabulary = Vocabulary.from_state(spec.preparation["vocabulary"])
    shown = []
    for split in (dataset.train, dataset.valid, dataset.test()):
        images, _ = split.rows.tensors
        for image, wanted, name in zip(images, split.target, split.origin, strict=True):
            assert f"{int(image[0, 0, 0])}.png" == name
            colour = next(c for c, rgb in COLOURS.items() if tuple(image[:, 5, 5].tolist()) == rgb)
            text = vocabulary.decode(wanted[wanted >= 0].tolist())
            assert text in (f"a {colour} picture.", f"this one, it is {colour}")
        shown.append({str(name) for name in split.origin})
    assert not shown[0] & shown[1]
    assert not shown[0] & shown[2]
    assert spec.num_train + spec.num_valid + spec.num_test == 48
    numbers = [int(name[:-4]) for name in shown[0]]
    first = torch.stack([dataset.train.rows.tensors[0][list(dataset.train.origin).index(f"{n}.png")] for n in numbers])
    mean = (first.double() / 255).mean((0, 2, 3))
    assert spec.scale_mean == pytest.approx(mean.tolist())


def test_sizes_are_made_equal_and_long_captions_cut(tmp_path):
    folder = write(tmp_path / "p", size=(20, 30))
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "0.png")
    dataset = load_data(folder, DataConfig(context=4))
    assert dataset.spec.input_shape == (3, 14, 14)
    assert dataset.spec.output_shape == (4,)
    assert any("were cut after 3 tokens" in note for note in dataset.summary["notes"])
    assert load_data(folder, DataConfig(image_size=16)).spec.input_shape == (3, 16, 16)


def test_files_that_cannot_be_used(tmp_path):
    folder = write(tmp_path / "p")
    (folder / "7.png").unlink()
    with pytest.raises(DataError, match=r"row 14 \(from 0\): '7\.png' cannot be read: No such file"):
        load_data(folder, DataConfig())
    (folder / "7.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"image '7\.png'"):
        load_data(folder, DataConfig())
    table = folder / "captions.csv"
    table.write_text(table.read_text().replace("A red picture.", "", 1))
    with pytest.raises(DataError, match=r"row 0 \(from 0\): the caption is empty"):
        load_data(folder, DataConfig())
    table.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no column names image files"):
        load_data(folder, DataConfig())
    with pytest.raises(DataError, match=r"no captions\.csv"):
        load_data(tmp_path, DataConfig(form="captions"))


def test_a_test_table_that_would_not_be_read_is_refused(tmp_path):
    folder = write(tmp_path / "pictures")
    with pytest.raises(DataError, match="data.test is not read for captions"):
        load_data(folder, DataConfig(test=str(folder / "captions.csv")))
