"""`flux-tui completion`: print the script with which a shell completes our commands and options."""

import click
from click.shell_completion import get_completion_class

from flux_tui.cli.output import Failure, print_exact


@click.command(
    epilog="""\b
  bash:  flux-tui completion bash > ~/.local/share/bash-completion/completions/flux-tui
  zsh:   flux-tui completion zsh > "${fpath[1]}/_flux-tui"
  fish:  flux-tui completion fish > ~/.config/fish/completions/flux-tui.fish"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a completion script for a shell."""
    kind = get_completion_class(shell)
    if kind is None:
        raise Failure(f"there is no completion for {shell}")
    print_exact(kind(context.find_root().command, {}, "flux-tui", "_FLUX_TUI_COMPLETE").source())
