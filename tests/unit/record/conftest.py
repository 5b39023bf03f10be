"""Every test of the codec runs twice: as it is installed, and in Python alone."""

from __future__ import annotations

import pytest

from raftkafka.record import build, compiled, iterate

NAMES = {build: ("lay_out_values", "lay_out_records"), iterate: ("read_values", "read_records")}


@pytest.fixture(
    autouse=True,
    params=[
        pytest.param("compiled", marks=pytest.mark.skipif(not compiled.IS_COMPILED, reason="no compiler was there")),
        "python",
    ],
)
def codec(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "python":
        for module, names in NAMES.items():
            for name in names:
                monkeypatch.setattr(module, name, lambda *_: None)
    return request.param
