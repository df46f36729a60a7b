import io
import os
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from limpid.config import DataConfig
from limpid.data import decode as decoding
from limpid.data.decode import decode, image_files, read_header, read_image
from limpid.data.images import load_images
from limpid.data.progress import watched
from limpid.errors import ConfigError, DataError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMPID_CACHE", str(tmp_path / "cache"))


def picture(height=6, width=5, channels=3, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return pixels[:, :, 0] if channels == 1 else pixels


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def encoded(image, format="PNG", **options):
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, format, **options)
    return file.getvalue()


def write_classes(root, counts, seed=0, suffix=".png", **shape):
    """Class folders of random pictures; returns {name: pixels}."""
    written = {}
    for folder, count in counts.items():
        for i in range(count):
            seed += 1
            name = f"{folder}/{i:03d}{suffix}"
            written[name] = picture(seed=seed, **shape)
            save(root / name, written[name])
    return written


def pack(root, path):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(root.rglob("*")):
                archive.write(file, file.relative_to(root.parent))
    else:
        with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
            archive.add(root, root.name)
    return path


def rows_by_name(split):
    return {name: rows.numpy() for name, rows in zip(split.origin, split.rows.tensors[0], strict=True)}


# ---- one image ----


def test_pixels_arrive_unchanged():
    pixels = picture()
    assert np.array_equal(decode(encoded(pixels), (6, 5), "rgb", "crop"), pixels.transpose(2, 0, 1))
    grey = picture(channels=1)
    assert np.array_equal(decode(encoded(grey), (6, 5), "grey", "crop"), grey[None])
    assert np.array_equal(decode(encoded(grey), (6, 5), "rgb", "crop"), np.stack([grey] * 3))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(orientation):
    # Where the corner pixel of the stored picture belongs, from the EXIF standard's own words.
    upright = picture(4, 6)
    undo = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p),
        7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
        8: lambda p: np.rot90(p, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(np.ascontiguousarray(undo(upright)), exif=exif)
    header = read_header(data)
    assert (header.height, header.width) == (4, 6)
    assert np.array_equal(decode(data, (4, 6), "rgb", "crop"), upright.transpose(2, 0, 1))


def test_16_bit_values_keep_their_upper_byte():
    values = np.random.default_rng(0).integers(0, 65536, (4, 5), dtype=np.uint16)
    data = encoded(Image.fromarray(values))
    assert read_header(data).grey
    assert np.array_equal(decode(data, (4, 5), "grey", "crop")[0], (values >> 8).astype(np.uint8))
    tiff = encoded(Image.fromarray(values), "TIFF")
    assert np.array_equal(decode(tiff, (4, 5), "grey", "crop")[0], (values >> 8).astype(np.uint8))


def test_float_images():
    values = np.random.default_rng(0).random((4, 5), dtype=np.float32)
    out = decode(encoded(Image.fromarray(values), "TIFF"), (4, 5), "grey", "crop")
    assert np.abs(out[0] - values * 255).max() <= 1


def test_cmyk_palette_alpha_and_animation():
    cmyk = Image.fromarray(picture()).convert("CMYK")
    expected = np.asarray(cmyk.convert("RGB")).transpose(2, 0, 1)
    assert np.abs(decode(encoded(cmyk, "TIFF"), (6, 5), "rgb", "crop").astype(int) - expected).max() == 0
    assert decode(encoded(cmyk, "JPEG"), (6, 5), "rgb", "crop").shape == (3, 6, 5)
    palette = Image.fromarray(picture()).quantize(8)
    expected = np.asarray(palette.convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(decode(encoded(palette), (6, 5), "rgb", "crop"), expected)
    clear = Image.new("RGBA", (5, 6), (200, 10, 10, 0))
    assert (decode(encoded(clear), (6, 5), "rgb", "crop") == 255).all()
    transparent_palette = Image.new("P", (5, 6), 0)
    assert (decode(encoded(transparent_palette, transparency=0), (6, 5), "rgb", "crop") == 255).all()
    half = Image.new("LA", (5, 6), (0, 128))
    assert (np.abs(decode(encoded(half), (6, 5), "grey", "crop").astype(int) - 127) <= 1).all()
    frames = [Image.new("L", (5, 6), value) for value in (10, 200)]
    animated = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (decode(animated, (6, 5), "grey", "crop") == 10).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (50, 7), (7, 50), (8, 8)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_any_shape_becomes_the_wanted_size(shape, fit, format):
    data = encoded(np.full((*shape, 3), 200, np.uint8), format)
    out = decode(data, (8, 6), "rgb", fit)
    assert out.shape == (3, 8, 6)
    if fit != "pad":
        assert (np.abs(out.astype(int) - 200) <= 1).all()
    else:
        scale = min(8 / shape[0], 6 / shape[1])
        inside = max(1, round(shape[0] * scale)) * max(1, round(shape[1] * scale))
        assert (out[0] > 190).sum() == inside
        assert (out[0] < 10).sum() == 48 - inside


def test_crop_takes_the_centre_and_stretch_takes_all():
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, :10], pixels[:, 10:20], pixels[:, 20:] = 50, 100, 150
    assert (decode(encoded(pixels), (10, 10), "rgb", "crop") == 100).all()
    stretched = decode(encoded(pixels), (10, 10), "rgb", "stretch")[0, 5]
    assert stretched[0] == 50
    assert stretched[-1] == 150


def test_jpeg_shrinking_while_decoding_agrees_with_shrinking_afterwards():
    y, x = np.mgrid[0:400, 0:600]
    pixels = np.stack([x * 255 // 600, y * 255 // 400, (x + y) * 255 // 1000], axis=2).astype(np.uint8)
    data = encoded(pixels, "JPEG", quality=95)
    for fit in ("crop", "pad", "stretch"):
        fast = decode(data, (40, 40), "rgb", fit).astype(int)
        exact = decode(encoded(Image.open(io.BytesIO(data))), (40, 40), "rgb", fit).astype(int)
        assert np.abs(fast - exact).mean() < 2


def png_header(width, height):
    """A PNG that claims a size and holds a few bytes."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return start + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


PNG = encoded(picture(40, 40))
JPEG = encoded(picture(40, 40), "JPEG")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"just some text", "not an image"),
        (PNG[: len(PNG) // 2], "damaged"),
        (JPEG[: len(JPEG) // 2], "damaged"),
        (PNG[:40], "damaged|not an image"),
        (PNG[:60] + b"\xff" * 500 + PNG[560:], "damaged"),
        (png_header(50_000, 50_000), "million"),
        (png_header(10_000, 10_000), "million"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not an image"),
    ],
)
def test_unusable_files_are_refused_by_name(tmp_path, data, message):
    path = tmp_path / "some file.png"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        read_image(path, {"kind": "image", "size": [8, 8], "colour": "rgb", "fit": "crop"})
    assert str(path) in str(caught.value)


def test_read_image_takes_files_and_bytes(tmp_path):
    save(tmp_path / "a.png", picture())
    preparation = {"kind": "image", "size": [6, 5], "colour": "rgb", "fit": "crop"}
    expected = picture().transpose(2, 0, 1)
    assert np.array_equal(read_image(tmp_path / "a.png", preparation), expected)
    assert np.array_equal(read_image((tmp_path / "a.png").read_bytes(), preparation), expected)
    with pytest.raises(DataError, match=r"missing\.png could not be read: No such file"):
        read_image(tmp_path / "missing.png", preparation)
    with pytest.raises(DataError, match="the image cannot be used"):
        read_image(b"text", preparation)


def test_image_files_lists_a_folder_in_order(tmp_path):
    for name in ("b.png", "a.JPG", "sub/c.png", ".hidden.png", ".ipynb_checkpoints/d.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [f.relative_to(tmp_path).as_posix() for f in image_files(tmp_path)] == ["a.JPG", "b.png", "sub/c.png"]
    assert image_files(tmp_path / "b.png") == [tmp_path / "b.png"]


# ---- folders and archives ----


def test_a_folder_of_class_folders(tmp_path):
    written = write_classes(tmp_path / "photos", {"cat": 20, "dog": 30, "great tit": 10})
    data = load_images(tmp_path / "photos", DataConfig(), 0)
    spec = data.spec
    assert spec.classes == ("cat", "dog", "great tit")
    assert (spec.num_train, spec.num_valid, spec.num_test) == (42, 9, 9)
    assert spec.input_shape == (3, 6, 5)
    assert spec.name == "photos"
    seen = {}
    for split in (data.train, data.valid, data.test()):
        for i, (name, pixels) in enumerate(rows_by_name(split).items()):
            assert np.array_equal(pixels, written[name].transpose(2, 0, 1))
            assert spec.classes[split.target[i]] == name.split("/")[0]
            assert split.name_of(i) == name
            seen[name] = seen.get(name, 0) + 1
    assert seen == dict.fromkeys(written, 1)
    values = np.stack([written[name] for name in data.train.origin]).reshape(-1, 3) / 255
    assert spec.scale_mean == pytest.approx(values.mean(0), abs=1e-12)
    assert spec.scale_std == pytest.approx(values.std(0), abs=1e-12)
    counts = [sum(name.startswith(kind) for name in data.train.origin) for kind in spec.classes]
    assert data.summary["classes"] == dict(zip(spec.classes, counts, strict=True))
    assert counts == pytest.approx([14, 21, 7], abs=1)
    assert data.summary["size"] == "6 x 5 RGB"


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".zip"])
def test_an_archive_gives_what_its_folder_gives(tmp_path, ending):
    write_classes(tmp_path / "photos", {"cat": 20, "dog": 20})
    folder = load_images(tmp_path / "photos", DataConfig(), 0)
    archive = load_images(pack(tmp_path / "photos", tmp_path / f"photos{ending}"), DataConfig(), 0)
    assert archive.spec == folder.spec
    assert torch.equal(archive.train.rows.tensors[0], folder.train.rows.tensors[0])
    assert [name.removeprefix("photos/") for name in archive.train.origin] == folder.train.origin


@pytest.mark.parametrize(("train", "valid", "test"), [("train", "val", "test"), ("Training", "validation", "Testing")])
def test_folders_for_every_part(tmp_path, train, valid, test):
    root = tmp_path / "photos"
    write_classes(root, {f"{train}/cat": 5, f"{train}/dog": 6, f"{valid}/cat": 2, f"{valid}/dog": 1, f"{test}/dog": 3})
    data = load_images(root, DataConfig(), 0)
    assert (len(data.train), len(data.valid), len(data.test())) == (11, 3, 3)
    assert (data.spec.num_train, data.spec.num_valid, data.spec.num_test) == (11, 3, 3)
    assert all(name.startswith(f"{valid}/") for name in data.valid.origin)
    assert data.test().target.tolist() == [1, 1, 1]
    (note,) = [note for note in data.summary["notes"] if "The figures" in note]
    assert note == "No image to test with: class 'cat'. The figures are about the others alone."


def test_a_test_folder_leaves_validation_to_be_split_off(tmp_path):
    write_classes(tmp_path / "p", {"train/a": 20, "train/b": 20, "test/a": 3, "test/b": 3})
    data = load_images(tmp_path / "p", DataConfig(), 0)
    assert (len(data.train), len(data.valid), len(data.test())) == (36, 4, 6)
    assert all(name.startswith("train/") for name in data.valid.origin)


def test_a_validation_folder_alone_is_held_out_as_the_test(tmp_path):
    write_classes(tmp_path / "p", {"train/a": 20, "train/b": 20, "val/a": 3, "val/b": 3})
    data = load_images(tmp_path / "p", DataConfig(), 0)
    assert sorted(data.test().origin) == sorted(f"val/{c}/{i:03d}.png" for c in "ab" for i in range(3))
    assert all(name.startswith("train/") for name in (*data.train.origin, *data.valid.origin))
    assert any("held out as the test" in note for note in data.summary["notes"])


def test_a_class_may_be_called_train(tmp_path):
    write_classes(tmp_path / "p", {"bus": 4, "car": 4, "train": 4})
    assert load_images(tmp_path / "p", DataConfig(), 0).spec.classes == ("bus", "car", "train")


def test_numbered_classes_stand_in_the_order_of_their_numbers(tmp_path):
    write_classes(tmp_path / "p", {"10": 4, "9": 4, "1": 4})
    assert load_images(tmp_path / "p", DataConfig(), 0).spec.classes == ("1", "9", "10")


def test_grey_only_when_all_are_grey(tmp_path):
    write_classes(tmp_path / "grey", {"a": 5, "b": 5}, channels=1)
    data = load_images(tmp_path / "grey", DataConfig(), 0)
    assert data.spec.input_shape == (1, 6, 5)
    assert data.spec.preparation == {"kind": "image", "size": [6, 5], "colour": "grey", "fit": "crop"}
    assert load_images(tmp_path / "grey", DataConfig(colour="rgb"), 0).spec.input_shape == (3, 6, 5)
    save(tmp_path / "grey" / "a" / "colour.png", picture())
    mixed = load_images(tmp_path / "grey", DataConfig(), 0)
    assert mixed.spec.input_shape == (3, 6, 5)
    assert any("grey" in note for note in mixed.summary["notes"])


def test_sizes_are_made_equal_by_the_stated_rule(tmp_path):
    root = tmp_path / "p"
    write_classes(root, {"a": 6}, height=10, width=30)
    write_classes(root, {"b": 5}, height=20, width=12, seed=50)
    data = load_images(root, DataConfig(test_share=0.0, valid_share=0.0), 0)
    assert data.spec.input_shape == (3, 10, 10)  # the median of six times 10 and five times 12
    assert any("2 size(s) were made 10 x 10" in note for note in data.summary["notes"])
    for fit in ("crop", "pad", "stretch"):
        data = load_images(root, DataConfig(image_size=8, fit=fit), 0)
        assert data.spec.preparation["size"] == [8, 8]
        for name, pixels in rows_by_name(data.train).items():
            assert np.array_equal(pixels, read_image(root / name, data.spec.preparation))


def test_large_images_are_capped(tmp_path):
    write_classes(tmp_path / "p", {"a": 2}, height=300, width=400)
    write_classes(tmp_path / "p", {"b": 2}, height=310, width=400)
    assert load_images(tmp_path / "p", DataConfig(), 0).spec.input_shape == (3, 224, 224)


def test_decoded_once_and_found_again_by_content(tmp_path, monkeypatch):
    write_classes(tmp_path / "p", {"a": 10, "b": 10})
    first = load_images(tmp_path / "p", DataConfig(), 0)
    calls = []
    monkeypatch.setattr("limpid.data.images.decode", lambda *a: calls.append(a) or decode(*a))
    (tmp_path / "p").rename(tmp_path / "moved")
    os.utime(tmp_path / "moved" / "a" / "000.png", (0, 0))
    second = load_images(tmp_path / "moved", DataConfig(), 0)
    assert calls == []
    assert second.fingerprint == first.fingerprint
    assert torch.equal(first.train.rows.tensors[0], second.train.rows.tensors[0])
    assert first.summary == second.summary
    save(tmp_path / "moved" / "a" / "000.png", picture(seed=999))
    third = load_images(tmp_path / "moved", DataConfig(), 0)
    assert len(calls) == 20
    assert third.fingerprint != first.fingerprint


def test_streams_the_same_rows_when_memory_is_short(tmp_path):
    write_classes(tmp_path / "p", {"train/a": 10, "train/b": 10, "test/a": 2, "test/b": 3})
    streamed = load_images(tmp_path / "p", DataConfig(memory_share=1e-9), 0)
    again = load_images(tmp_path / "p", DataConfig(memory_share=1e-9), 0)
    resident = load_images(tmp_path / "p", DataConfig(), 0)
    assert streamed.spec == resident.spec == again.spec
    for mapped in (streamed, again):
        assert type(mapped.train.rows).__name__ == "MappedRows"
        assert isinstance(mapped.train.rows.pixels.base, np.memmap)
        for left, right in ((mapped.train, resident.train), (mapped.test(), resident.test())):
            index = torch.arange(len(right)).flip(0)
            assert torch.equal(left.rows.take(index)[0], right.rows.take(index)[0])


def test_without_room_for_the_cache_large_data_are_refused(tmp_path, monkeypatch):
    write_classes(tmp_path / "p", {"a": 5, "b": 5})
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LIMPID_CACHE", str(tmp_path / "file"))
    assert len(load_images(tmp_path / "p", DataConfig(), 0).train) == 6  # small data do without
    with pytest.raises(DataError, match="LIMPID_CACHE"):
        load_images(tmp_path / "p", DataConfig(memory_share=1e-9), 0)


def test_hidden_and_foreign_files_are_ignored_and_listed(tmp_path):
    root = tmp_path / "p"
    write_classes(root, {"a": 5, "b": 5, ".ipynb_checkpoints": 1, "a/.ipynb_checkpoints": 1, "__MACOSX/a": 1})
    for name in ("a/.DS_Store", "a/Thumbs.db", "readme.txt", "a/._000.png", "b/inner.zip"):
        (root / name).write_bytes(b"x")
    save(root / "cover.png", picture())
    data = load_images(root, DataConfig(), 0)
    assert data.spec.classes == ("a", "b")
    assert sum(data.summary["split"].values()) == 10
    assert len(data.summary["ignored"]) == 9
    assert {"a/.DS_Store", "readme.txt", "cover.png", "b/inner.zip"} <= set(data.summary["ignored"])
    assert any("cover.png" in note for note in data.summary["notes"])


def test_nested_folders_and_link_circles(tmp_path):
    root = tmp_path / "p"
    write_classes(root, {"a/monday": 3, "a/tuesday": 3, "b": 5})
    (root / "a" / "circle").symlink_to(root, target_is_directory=True)
    write_classes(tmp_path / "elsewhere", {"c": 4}, seed=70)
    (root / "c").symlink_to(tmp_path / "elsewhere" / "c", target_is_directory=True)
    data = load_images(root, DataConfig(), 0)
    assert data.spec.classes == ("a", "b", "c")
    assert sum(data.summary["split"].values()) == 15


def test_empty_and_lonely_classes_are_noted(tmp_path):
    write_classes(tmp_path / "p", {"a": 10, "b": 10, "lonely": 1})
    (tmp_path / "p" / "empty").mkdir()
    data = load_images(tmp_path / "p", DataConfig(), 0)
    notes = " ".join(data.summary["notes"])
    assert data.spec.classes == ("a", "b", "lonely")
    assert data.summary["classes"]["lonely"] == 1
    assert "'lonely'" in notes
    assert "'empty'" in notes


def test_copies_between_parts_are_reported(tmp_path):
    root = tmp_path / "p"
    write_classes(root, {"train/a": 5, "train/b": 5, "test/a": 2, "test/b": 2})
    (root / "test/a/copy.png").write_bytes((root / "train/a/000.png").read_bytes())
    notes = load_images(root, DataConfig(), 0).summary["notes"]
    assert "1 test image(s) are also among the training images (same bytes)." in notes
    write_classes(tmp_path / "q", {"a": 5, "b": 5})
    (tmp_path / "q/b/copy.png").write_bytes((tmp_path / "q/a/000.png").read_bytes())
    assert any("copies" in note for note in load_images(tmp_path / "q", DataConfig(), 0).summary["notes"])


ODD = [
    "with space",
    "quo'te\"s",
    "new\nline",
    "\U0001f600",
    "\u05d0\u05d1",
    "-dash",
    "%2e",
    "<script>",
    "[red]",
    "n" * 250,
]


def test_odd_names(tmp_path):
    names = [*ODD, os.fsdecode(b"bad\xff")]
    for i, name in enumerate(names):
        for k in range(2):
            save(tmp_path / "p" / name / f"{k}.png", picture(seed=100 * i + k))
    spec = load_images(tmp_path / "p", DataConfig(test_share=0.0, valid_share=0.0), 0).spec
    assert set(spec.classes) == {*ODD, "bad\\xff"}
    spec.model_dump_json().encode("utf-8")
    archive = load_images(pack(tmp_path / "p", tmp_path / "p.tar"), DataConfig(test_share=0.0, valid_share=0.0), 0)
    assert archive.spec.classes == spec.classes


# ---- bad input ----


def bad_images(root, count=3):
    write_classes(root, {"a": 12, "b": 12})
    for i in range(count):
        (root / "a" / f"bad {i:02d}.png").write_bytes(PNG[: len(PNG) // 2] if i % 2 else b"text")


@pytest.mark.parametrize("archive", [False, True])
def test_corrupt_images_are_all_listed(tmp_path, archive):
    bad_images(tmp_path / "p", 13)
    source = pack(tmp_path / "p", tmp_path / "p.tar") if archive else tmp_path / "p"
    with pytest.raises(DataError) as caught:
        load_images(source, DataConfig(), 0)
    message = str(caught.value)
    assert "of 37 images cannot be used" in message
    assert "bad 00.png: it is not an image" in message
    assert "skip_bad" in message
    assert message.count(".png:") <= 10
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_corrupt_images_are_skipped_on_request_without_moving_the_others(tmp_path):
    bad_images(tmp_path / "p", 3)
    config = DataConfig(skip_bad=True, test_share=0.0, valid_share=0.0)
    data = load_images(tmp_path / "p", config, 0)
    assert len(data.train) == 24
    assert any("3 unreadable image(s) left out: a/bad 00.png" in note for note in data.summary["notes"])
    again = load_images(tmp_path / "p", config, 0)
    streamed = load_images(tmp_path / "p", config.model_copy(update={"memory_share": 1e-9, "workers": 1}), 0)
    for file in (tmp_path / "p" / "a").glob("bad*"):
        file.unlink()
    clean = load_images(tmp_path / "p", config, 0)
    everything = torch.arange(24)
    for other in (data, again, streamed):
        assert other.train.origin == clean.train.origin
        assert torch.equal(other.train.rows.take(everything)[0], clean.train.rows.take(everything)[0])
        assert torch.equal(other.train.target, clean.train.target)


def test_a_class_that_loses_its_last_image(tmp_path):
    write_classes(tmp_path / "p", {"a": 4, "b": 4})
    (tmp_path / "p" / "c").mkdir()
    (tmp_path / "p" / "c" / "only.png").write_bytes(b"text")
    with pytest.raises(DataError, match="no training image of class 'c'"):
        load_images(tmp_path / "p", DataConfig(skip_bad=True), 0)


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "MOST_PIXELS", 10_000)
    write_classes(tmp_path / "p", {"a": 3, "b": 3})
    save(tmp_path / "p" / "a" / "bomb.png", np.zeros((200, 200), np.uint8))
    with pytest.raises(DataError, match=r"a/bomb\.png: 200 x 200 pixels"):
        load_images(tmp_path / "p", DataConfig(), 0)


def test_an_unreadable_file_is_listed(tmp_path, monkeypatch):
    write_classes(tmp_path / "p", {"a": 3, "b": 3})
    read_bytes = Path.read_bytes

    def fail(self):
        if self.name == "001.png" and self.parent.name == "b":
            raise PermissionError(13, "Permission denied")
        return read_bytes(self)

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(DataError, match=r"b/001\.png: it could not be read \(Permission denied\)"):
        load_images(tmp_path / "p", DataConfig(), 0)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "found no images"),
        ({".": 3}, "found 3 images, but none in a class folder"),
        ({"only": 3}, r"only one class \('only'\)"),
        ({"train": 3, "test": 3}, "no class folders"),
        ({"val/a": 3, "test/a": 3}, "train folder holds no class folders"),
        ({"train/a": 3, "train/b": 3, "test/c": 1}, r"class 'c' has no training images .*test/c/000\.png"),
    ],
)
def test_layouts_without_classes_show_what_was_expected(tmp_path, counts, message):
    (tmp_path / "p").mkdir()
    write_classes(tmp_path / "p", counts)
    with pytest.raises(DataError, match=message) as caught:
        load_images(tmp_path / "p", DataConfig(), 0)
    if "class 'c'" not in message:
        assert "photos/cat/1.jpg" in str(caught.value)


def test_missing_empty_and_foreign_sources(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        load_images(tmp_path / "nothing", DataConfig(), 0)
    (tmp_path / "empty.zip").write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        load_images(tmp_path / "empty.zip", DataConfig(), 0)
    (tmp_path / "x.7z").write_bytes(b"7z")
    with pytest.raises(DataError, match="neither a folder nor an archive"):
        load_images(tmp_path / "x.7z", DataConfig(), 0)
    with pytest.raises(ConfigError, match="no columns"):
        load_images(tmp_path, DataConfig(split="time:day"), 0)


def test_a_failed_load_leaves_nothing_behind(tmp_path):
    bad_images(tmp_path / "p", 1)
    with pytest.raises(DataError):
        load_images(tmp_path / "p", DataConfig(memory_share=1e-9), 0)
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


@pytest.mark.parametrize("terminal", [False, True])
def test_a_progress_bar_shows_on_terminals_only(monkeypatch, capsys, terminal):
    monkeypatch.setattr("limpid.data.progress.PATIENCE", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert list(watched(range(50), 50, "Decoding images")) == list(range(50))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert ("Decoding images" in captured.err) == terminal
