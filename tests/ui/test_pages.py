"""What holds for every page without a browser: nothing inline, words complete, colours only from tokens."""

import re
from pathlib import Path

import pytest

from lis.words import LANGUAGES, messages
from ui.pages.navigation import NAVIGATION

UI = Path(__file__).resolve().parents[2] / "ui"
TEMPLATES = sorted((UI / "templates").glob("*.html"))
STYLES = sorted((UI / "static").glob("*.css"))
SCRIPTS = sorted((UI / "static").glob("*.js"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_nothing_is_inline(path: Path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=", text)
    assert not re.search(r"\son[a-z]+=", text)
    assert "<style" not in text
    for script in re.findall(r"<script[^>]*>", text):
        assert "src=" in script or 'type="application/json"' in script


@pytest.mark.parametrize("path", [*TEMPLATES, *STYLES, *SCRIPTS], ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere(path: Path):
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
    assert not re.search(r"(https?:)?//[\w-]+\.[a-z]{2,}/", text)


@pytest.mark.parametrize("path", STYLES, ids=lambda path: path.name)
def test_colours_are_named_in_one_place(path: Path):
    text = path.read_text(encoding="utf-8")
    if path.name != "tokens.css":
        screen = text.split("@media print")[0]  # paper is black on white
        assert not re.search(r"#[0-9a-fA-F]{3,8}\b", screen), "use a token of tokens.css"


@pytest.mark.parametrize("path", STYLES, ids=lambda path: path.name)
def test_styles_suit_old_browsers(path: Path):
    text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert not re.search(
        r"oklch|light-dark\(|color-mix|:has\(|@container|^\s*&", text, re.MULTILINE
    )


def test_both_dark_tables_say_the_same():
    text = (UI / "static/tokens.css").read_text(encoding="utf-8")
    tables = [
        re.sub(r"\s+", " ", table)
        for table in re.findall(r"\{(\s*color-scheme: dark;.*?)\}", text, re.DOTALL)
    ]
    assert len(tables) == 2
    assert tables[0].strip() == tables[1].strip()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", [*TEMPLATES, *SCRIPTS], ids=lambda path: path.name)
def test_every_word_on_a_page_exists(path: Path, language: str):
    known = messages(language)
    stems = {key.rpartition(".")[0] for key in known}
    text = path.read_text(encoding="utf-8")
    used = re.findall(r"""say\(\s*["']([a-z_]+\.[a-z0-9_.]*[a-z0-9_])["']\s*[,)]""", text)
    assert not [key for key in used if key not in known and key not in stems]


def test_header_entries_have_words_and_different_keys():
    assert all(entry.title in messages("en") for entry in NAVIGATION)
    keys = [entry.key for entry in NAVIGATION if entry.key]
    assert len(keys) == len(set(keys))
