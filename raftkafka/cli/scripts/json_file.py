"""JSON files that the scripts are given. Floor 5."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from raftkafka.cli.moves import FormatError
from raftkafka.model.errors import RaftKafkaError

Content = TypeVar("Content")


def read(path: str, parse: Callable[[str], Content]) -> Content:
    """What `parse` makes of the file. Raises OSError, or RaftKafkaError with the name of the file."""
    with open(path, encoding="utf-8") as file:
        try:
            return parse(file.read())
        except (FormatError, UnicodeDecodeError) as error:
            raise RaftKafkaError(f"{path}: {error}") from error
