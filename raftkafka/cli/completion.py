"""`rk completion`: what a shell needs to complete commands and options. Floor 5."""

from __future__ import annotations

import click

from raftkafka.cli.output import line

VARIABLE = "_RK_COMPLETE"
"""Set by the shell's script to ask `rk` for completions instead of running it."""


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Print the script that lets SHELL complete commands and options.

    bash, in ~/.bashrc: eval "$(rk completion bash)". zsh, in ~/.zshrc: eval "$(rk completion zsh)". fish:
    rk completion fish > ~/.config/fish/completions/rk.fish
    """
    from click.shell_completion import get_completion_class

    from raftkafka.cli.commands import root

    kind = get_completion_class(shell)
    assert kind is not None, "click knows the shells of the choice above"
    line(kind(root, {}, "rk", VARIABLE).source())
