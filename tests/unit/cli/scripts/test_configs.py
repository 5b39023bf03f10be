"""Numbers as Java prints them, which scripts compare as text."""

from __future__ import annotations

import pytest

from raftkafka.cli.scripts.configs import java_double


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (1024, "1024.0"),
        (0.5, "0.5"),
        (9_999_999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (123_456_789.0, "1.23456789E8"),
        (1.5e-5, "1.5E-5"),
        (-2.5e9, "-2.5E9"),
    ],
)
def test_doubles(value: float, text: str) -> None:
    assert java_double(value) == text
