import io
import os
import struct
import tarfile
import zipfile

import pytest

from limpid.data import archives
from limpid.data.archives import Members, is_archive
from limpid.errors import DataError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMPID_CACHE", str(tmp_path / "cache"))


def everything(name):
    return True


def write_tar(path, members, mode="w"):
    """Members are (name, bytes) or ready TarInfo values."""
    with tarfile.open(path, mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            name, data = member
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


GOOD = [("a/1.png", b"one"), ("a/2.txt", b"no"), ("b/3.png", b"three" * 1000), ("b/empty.png", b"")]


@pytest.mark.parametrize(
    ("name", "mode"),
    [("x.tar", "w"), ("x.tar.gz", "w:gz"), ("x.tgz", "w:gz"), ("x.tar.bz2", "w:bz2"), ("x.tar.xz", "w:xz")],
)
def test_tar_members_arrive_in_order(tmp_path, name, mode):
    path = write_tar(tmp_path / name, [special("a", tarfile.DIRTYPE), *GOOD], mode)
    members = Members(path, lambda name: name.endswith(".png"))
    assert members.names == ["a/1.png", "b/3.png", "b/empty.png"]
    assert [members.read(i) for i in range(len(members))] == [b"one", b"three" * 1000, b""]
    assert members.unwanted == ["a/2.txt"]
    assert members.folders == ["a/"]


def test_zip_members_arrive_in_order(tmp_path):
    path = write_zip(tmp_path / "x.zip", [("a/", b""), *GOOD, ("./c//4.png", b"4")])
    members = Members(path, lambda name: name.endswith(".png"))
    assert members.names == ["a/1.png", "b/3.png", "b/empty.png", "c/4.png"]
    assert members.read(1) == b"three" * 1000
    assert members.folders == ["a/"]


def test_nothing_is_left_on_the_disk(tmp_path):
    members = Members(write_tar(tmp_path / "x.tar", GOOD), everything)
    assert members.read(0) == b"one"
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["cache", "x.tar"]


UNSAFE_NAMES = ["../up.png", "a/../../up.png", "/etc/passwd.png", "a/..", "..\\up.png", "C:\\x.png", "\\\\host\\x.png"]


@pytest.mark.parametrize("name", UNSAFE_NAMES)
def test_names_outside_are_refused(tmp_path, name):
    with pytest.raises(DataError, match="points outside") as caught:
        Members(write_tar(tmp_path / "x.tar", [("ok.png", b""), (name, b"x")]), everything)
    assert repr(name) in str(caught.value)
    with pytest.raises(DataError, match="points outside"):
        Members(write_zip(tmp_path / "x.zip", [("ok.png", b""), (name, b"x")]), everything)


@pytest.mark.parametrize(
    ("member", "what"),
    [
        (special("l.png", tarfile.SYMTYPE, "/etc/passwd"), "a symbolic link"),
        (special("l.png", tarfile.LNKTYPE, "a/1.png"), "a hard link"),
        (special("l.png", tarfile.CHRTYPE), "a device"),
        (special("l.png", tarfile.BLKTYPE), "a device"),
        (special("l.png", tarfile.FIFOTYPE), "a device, a pipe"),
    ],
)
def test_links_and_devices_are_refused(tmp_path, member, what):
    with pytest.raises(DataError, match=f"'l.png' is {what}"):
        Members(write_tar(tmp_path / "x.tar", [*GOOD, member]), everything)


@pytest.mark.parametrize(
    ("mode", "what"), [(0o120777, "a symbolic link"), (0o020666, "a device"), (0o010666, "a device or a pipe")]
)
def test_links_and_devices_in_a_zip_are_refused(tmp_path, mode, what):
    info = zipfile.ZipInfo("l.png")
    info.external_attr = mode << 16
    with pytest.raises(DataError, match=f"'l.png' is {what}"):
        Members(write_zip(tmp_path / "x.zip", [(info, b"/etc/passwd")]), everything)


def test_an_encrypted_member_is_refused(tmp_path):
    path = write_zip(tmp_path / "x.zip", [("a.png", b"data")])
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flag in the local header
    data[data.index(b"PK\1\2") + 8] |= 1  # and in the directory
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="'a.png' is encrypted"):
        Members(path, everything)


@pytest.mark.parametrize(
    ("first", "second"), [("a.png", "a.png"), ("a.png", "A.PNG"), ("./a.png", "a.png"), ("\u00e9.png", "e\u0301.png")]
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path, first, second):
    with pytest.raises(DataError, match="same name"):
        Members(write_tar(tmp_path / "x.tar", [(first, b"1"), (second, b"2")]), everything)
    with pytest.raises(DataError, match="same name"):
        Members(write_zip(tmp_path / "x.zip", [(first, b"1"), (second, b"2")]), everything)


@pytest.mark.parametrize("wanted", [everything, lambda name: False])
def test_a_bomb_is_stopped_while_it_unpacks(tmp_path, monkeypatch, wanted):
    monkeypatch.setattr(archives, "HARMLESS_BYTES", 1 << 20)
    path = write_tar(tmp_path / "x.tar.gz", [("zeros.png", bytes(30 << 20))], "w:gz")
    with pytest.raises(DataError, match="decompression bomb"):
        Members(path, wanted)


def test_a_bomb_in_a_zip_is_stopped_while_it_unpacks(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "HARMLESS_BYTES", 1 << 20)
    with pytest.raises(DataError, match="decompression bomb"):
        Members(write_zip(tmp_path / "x.zip", [("zeros.png", bytes(30 << 20))]), everything)


def test_declared_sizes_are_not_believed(tmp_path):
    info = tarfile.TarInfo("huge.png")
    info.size = 1 << 40
    (tmp_path / "x.tar").write_bytes(info.tobuf() + b"little")
    with pytest.raises(DataError, match="huge.png.* larger than"):
        Members(tmp_path / "x.tar", everything)
    path = write_zip(tmp_path / "x.zip", [("a.png", b"x" * 5000)])
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\1\2") + 24, 10)  # uncompressed size in the directory
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="damaged"):
        Members(path, everything)


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MOST_ENTRIES", 3, "more than 3 entries"),
        ("MOST_DEPTH", 1, "folders deep"),
        ("MOST_MEMBER_BYTES", 4000, "larger than"),
    ],
)
def test_limits(tmp_path, monkeypatch, limit, value, message):
    monkeypatch.setattr(archives, limit, value)
    monkeypatch.setattr(archives, "CHUNK", 1000)
    with pytest.raises(DataError, match=message):
        Members(write_tar(tmp_path / "x.tar", GOOD), everything)
    with pytest.raises(DataError, match=message):
        Members(write_zip(tmp_path / "x.zip", GOOD), everything)


def test_total_size_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_BYTES", 3000)
    with pytest.raises(DataError, match="unpacks to more than"):
        Members(write_tar(tmp_path / "x.tar", GOOD), everything)


@pytest.mark.parametrize(
    ("name", "mode"), [("x.tar.gz", "w:gz"), ("x.tar.bz2", "w:bz2"), ("x.tar.xz", "w:xz"), ("x.tar", "w")]
)
def test_truncated_archives_are_refused(tmp_path, name, mode):
    path = write_tar(tmp_path / name, [("a.png", os.urandom(20_000)), ("b.png", os.urandom(20_000))], mode)
    path.write_bytes(path.read_bytes()[:30_000])
    with pytest.raises(DataError, match=f"{name} is damaged or truncated"):
        Members(path, everything)


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path = write_zip(tmp_path / "x.zip", GOOD)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="damaged"):
        Members(path, everything)
    (tmp_path / "text.tar.gz").write_text("not an archive at all")
    with pytest.raises(DataError, match="damaged"):
        Members(tmp_path / "text.tar.gz", everything)
    with pytest.raises(DataError, match="could not be read"):
        Members(tmp_path / "missing.tar", everything)


def test_archives_are_known_by_their_names(tmp_path):
    assert all(is_archive(tmp_path / name) for name in ("a.tar", "A.TAR.GZ", "a.tgz", "a.zip"))
    assert not any(is_archive(tmp_path / name) for name in ("a.gz", "tar", "a.png"))
