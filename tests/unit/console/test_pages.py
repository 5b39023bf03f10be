"""The files of the console keep their promises: nothing from elsewhere, no markup made of data, every text there."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Final

import pytest

STATIC: Final = Path(str(files("raftkafka.console"))) / "static"
ROOT: Final = Path(__file__).parents[3]
SCRIPTS: Final = sorted(STATIC.rglob("*.js"))
CODE: Final = [path for path in SCRIPTS if path.parent.name != "i18n"]
LANGUAGES: Final = ("en", "ko")
SIZE_MAX: Final = 300
"""Lines of a module: as everywhere, a file has one duty."""


def relative(path: Path) -> str:
    return str(path.relative_to(STATIC))


def keys_of(language: str) -> set[str]:
    text = (STATIC / "js" / "i18n" / f"{language}.js").read_text(encoding="utf-8")
    return set(re.findall(r'^  "([^"]+)":', text, re.MULTILINE))


def test_no_module_makes_markup_of_strings() -> None:
    for path in SCRIPTS:
        text = path.read_text(encoding="utf-8")
        found = re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
        assert found is None, f"{relative(path)}: {found}"
        assert 'setAttribute("style"' not in text, f"{relative(path)}: the policy blocks it, go through element.style"


def test_nothing_is_loaded_from_elsewhere() -> None:
    for path in sorted(STATIC.rglob("*.*")):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        found = re.search(
            r"(https?:)?//[\w-]+\.\w+|@import|\bdata:\w" + (r"|url\(" if path.suffix == ".css" else ""), text
        )
        assert found is None, f"{relative(path)}: {found}"


def test_modules_are_small_and_say_their_duty() -> None:
    for path in CODE:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= SIZE_MAX, relative(path)
        assert lines[0].startswith("// "), relative(path)


def test_what_modules_import_is_there() -> None:
    for path in CODE:
        for target in re.findall(r"""(?:from|import\()\s*"(\.[^"]+)\"""", path.read_text(encoding="utf-8")):
            assert (path.parent / target).is_file(), f"{relative(path)} imports {target}"


def test_every_test_that_the_page_about_the_console_names_is_there() -> None:
    page = (ROOT / "docs" / "console.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[^`]+\.py)::(test_\w+)`", page)
    assert len(named) > 30
    for path, function in named:
        assert f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path} has no {function}"


def test_the_page_has_no_script_or_style_of_its_own() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", page)
    for target in re.findall(r'(?:href|src)="([^"]+)"', page):
        assert target.startswith("api/") or (STATIC / target).is_file(), target


def test_the_first_page_is_preloaded_whole() -> None:
    """A module that is found out about only after another was read costs the first paint one more round."""
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    listed = set(re.findall(r'(?:href|src)="(js/[^"]+)"', page))
    wanted, open_ = set(), ["js/app.js", "js/pages/overview.js"]
    while open_:
        name = open_.pop()
        wanted.add(name)
        path = STATIC / name
        for target in re.findall(r'^import .*?"(\.[^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE):
            found = relative((path.parent / target).resolve())
            if found not in wanted:
                open_.append(found)
    assert listed == wanted


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_that_is_asked_for_is_there(language: str) -> None:
    keys = keys_of(language)
    for path in CODE:
        for key in re.findall(r'\bt\("([^"]+)"', path.read_text(encoding="utf-8")):
            assert key in keys, f"{relative(path)} asks for {key}"
        for pattern in re.findall(r"\bt\(`([^`]+)`", path.read_text(encoding="utf-8")):
            form = re.compile(
                "".join(
                    ".+" if part.startswith("${") else re.escape(part) for part in re.split(r"(\$\{[^}]*\})", pattern)
                )
            )
            assert any(form.fullmatch(key) for key in keys), f"{relative(path)} asks for {pattern}"


def test_languages_have_the_same_texts_and_all_are_used() -> None:
    assert keys_of("en") == keys_of("ko")
    code = "\n".join(path.read_text(encoding="utf-8") for path in CODE)
    families = [pattern.split("${")[0] for pattern in re.findall(r"\bt\(`([^`]+)`", code)]
    unused = [key for key in keys_of("en") if f'"{key}"' not in code and not key.startswith(tuple(families))]
    assert unused == []
