"""The gallery page: complete, up to date, and its links lead somewhere."""

from __future__ import annotations

import re

from limpid.catalogue.kinds import KINDS
from limpid.recipe import recipe_names
from tools.gallery import PAGE, ROOT, anchor, page, words


def test_the_page_is_up_to_date() -> None:
    written = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    now = page()
    stale = [line for line in now.splitlines() if line not in {*written.splitlines()}][:3]
    assert written == now, f"docs/GALLERY.md is not what the catalogues say; run: make gallery. It lacks {stale}"


def test_every_part_has_one_entry_with_all_that_is_known() -> None:
    text = page()
    for kind in KINDS:
        for part in kind.values():
            address = f'<a id="{anchor(kind, part)}"></a>'
            assert text.count(address) == 1
            entry = text.partition(address)[2].partition("<a id=")[0]
            assert f"### {part.name}" in entry
            assert not part.formula or part.formula.replace("`", "") in entry
            assert "- source: " in entry
            assert ("- mind: " in entry) == bool(part.pitfall)
            assert all(f"{option} = " in entry for option in part.options)
            assert ("- also known as: " in entry) == bool(part.aliases)


def test_every_word_is_in_the_index_and_every_link_has_its_place() -> None:
    text = page()
    index = text.partition("## Index")[2]
    plain = index.replace("\\", "")
    assert all(f"- {word}: " in plain for word in words())
    places = {*re.findall(r'<a id="([^"]+)"></a>', text)}
    titles = {title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    assert {*re.findall(r"\(#([^)]+)\)", text)} <= places | titles
    files = re.findall(r"\]\(\.\./([^)]+)\)", text)
    assert len(files) == len(recipe_names())
    assert all((ROOT / name).is_file() for name in files)


def test_the_page_is_plain_text_in_the_house_width_of_words() -> None:
    text = page()
    assert text.isascii() or not re.search(r"[\u2013\u2014]", text)
    assert "\n\n\n" not in text
