"""The file layer: whole or not at all, and every failure said."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from limpid.errors import DiskFull, RecordError
from limpid.record import files
from tests.record.faults import CRASHED, crash_at, fail_at, hook, in_child, list_operations


def test_write_file_forces_the_content_before_the_rename_and_the_name_after_it(tmp_path: Path) -> None:
    operations = list_operations(lambda: files.write_file(tmp_path / "a", b"x"))
    assert operations == ["open", "write", "fsync", "rename", "fsync"]
    assert (tmp_path / "a").read_bytes() == b"x"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("torn", [False, True])
def test_a_crash_anywhere_in_write_file_leaves_old_or_new(tmp_path: Path, torn: bool) -> None:
    path = tmp_path / "a"
    for n in range(1, 8):
        path.write_bytes(b"old content")
        with hook(crash_at(n, torn=torn)):
            status = in_child(lambda: files.write_file(path, b"new, longer content"))
        assert path.read_bytes() in (b"old content", b"new, longer content")
        if status == 0:
            assert path.read_bytes() == b"new, longer content"
            break
        assert status == CRASHED
        assert all(child == path or files.is_temporary(child.name) for child in tmp_path.iterdir())
    else:
        pytest.fail("the last operation was never reached")


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES, errno.EROFS, errno.EMFILE, errno.ESTALE]
)
def test_an_error_anywhere_in_write_file_is_said_and_leaves_old_or_new(
    tmp_path: Path, number: int, persistent: bool
) -> None:
    path = tmp_path / "a"
    full = number in (errno.ENOSPC, errno.EDQUOT)
    for n in range(1, 6):
        path.write_bytes(b"old")
        with hook(fail_at(n, number, persistent=persistent)), pytest.raises(RecordError) as error:
            files.write_file(path, b"new content")
        assert isinstance(error.value, DiskFull) == full
        assert str(path if n < 5 else tmp_path) in str(error.value)
        assert path.read_bytes() == (b"old" if n < 5 else b"new content")
        if full and n < 5:
            assert "11 bytes were needed" in str(error.value)
            assert "bytes are free" in str(error.value)
        if not persistent:
            assert [child.name for child in tmp_path.iterdir()] == ["a"], "the half-written file was left behind"
        for child in tmp_path.glob(".tmp-*"):
            child.unlink()


def test_short_writes_are_continued(tmp_path: Path) -> None:
    with hook(lambda operation, path: 3 if operation == "write" else None):
        files.write_file(tmp_path / "a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_a_failed_append_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    log = files.AppendFile(tmp_path / "log")
    log.append(b"first\n")
    writes = iter([3, OSError(errno.ENOSPC, "No space left on device")])

    def tear(operation: str, path: Path) -> int:
        item = next(writes)
        if isinstance(item, OSError):
            raise item
        return item

    with hook(tear), pytest.raises(DiskFull):
        log.append(b"second\n")
    log.append(b"third\n")
    log.close()
    assert (tmp_path / "log").read_bytes() == b"first\nthird\n"


def test_remove_tree_does_not_follow_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner" / "file").write_text("x")
    (tree / "link").symlink_to(outside)
    files.remove_tree(tree)
    assert not tree.exists()
    assert (outside / "precious").exists()


def test_make_folder_refuses_an_existing_one_and_makes_parents(tmp_path: Path) -> None:
    files.make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    files.make_folder(tmp_path / "a" / "b", exist_ok=True)
    with pytest.raises(RecordError, match="exists"):
        files.make_folder(tmp_path / "a" / "b")


@pytest.mark.parametrize("name", ["tmp", "trash"])
def test_temporary_names_are_recognised_and_others_are_not(name: str) -> None:
    assert files.is_temporary(files.temporary_name(name))  # type: ignore[arg-type]
    assert not files.is_temporary(f".{name}")
    assert not files.is_temporary(f".{name}-mine")
    assert not files.is_temporary(f"{name}-12-01234567")
