"""`rk lint`: what is wrong with `server.properties` files, Kafka's own included. Floor 5."""

from __future__ import annotations

from collections.abc import Sequence

import click

from raftkafka.cli.options import json_option


@click.command()
@click.argument("files", metavar="SERVER.PROPERTIES...", nargs=-1, required=True)
@click.option("--strict", is_flag=True, help="Let warnings count as errors.")
@click.option("--quiet", is_flag=True, help="Leave the notes out.")
@json_option
def lint(files: Sequence[str], strict: bool, quiet: bool, json: bool) -> int:
    """Check files of one cluster, each by itself and all together.

    They may be Kafka's, of any version. Every finding names its file and line. Exit code 1 where there is an error.
    """
    from raftkafka.cli.output import as_json, line
    from raftkafka.model.settings.lint import Level, lint

    found = lint([(path, _text(path)) for path in dict.fromkeys(files)])
    shown = [each for each in found if not (quiet and each.level is Level.NOTE)]
    errors = sum(each.level is Level.ERROR for each in found)
    warnings = sum(each.level is Level.WARNING for each in found)
    if json:
        as_json(
            {
                "findings": [
                    {"file": each.file, "line": each.line or None, "level": each.level.value, "text": each.text}
                    for each in shown
                ],
                "errors": errors,
                "warnings": warnings,
            }
        )
    else:
        for each in shown:
            line(str(each))
        line(f"{len(set(files))} files: {errors} errors, {warnings} warnings")
    return int(bool(errors or (strict and warnings)))


def _text(path: str) -> str:
    from raftkafka.model.errors import ConfigurationError

    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8 text: {error}") from error
