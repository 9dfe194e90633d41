"""What is added to click: arguments with help texts, and verbs whose errors are sentences."""

import importlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from pinnzoo.cli.output import FAILED, INTERRUPTED, complain
from pinnzoo.errors import PinnzooError

SETTINGS: Mapping[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "show_default": True,
    "max_content_width": 100,
}
"""What all commands share; longer lines of help would be hard to read."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
"""What gives a command a parameter."""


class Argument(click.Argument):
    """An argument with a help text, which click knew for options only until 8.5."""

    def __init__(self, declarations: Any, about: str, **attributes: Any):
        super().__init__(declarations, **attributes)
        default = attributes.get("default")
        note = "required" if self.required else f"default: {default}" if default is not None else ""
        self.about = f"{about}  [{note}]" if note else about


def argument(name: str, help: str, **attributes: Any) -> Decorator:
    """Give a command an argument with a help text, else as `click.argument` does."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        # One of click 8.1 forgets the class when it is used again.
        return click.argument(name, cls=Argument, about=help, **attributes)(function)

    return decorate


def together(*decorators: Decorator) -> Decorator:
    """Give a command the parameters of several decorators, in their order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        # The decorator nearest to a function adds the last parameter.
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


@contextmanager
def without_interruption() -> Iterator[None]:
    """Let Ctrl-C wait until this is left.

    Handlers that a program has set itself stay in place.

    Raises:
        KeyboardInterrupt: At the end, where it was pressed meanwhile.
    """
    usual = signal.default_int_handler
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not usual:
        yield
        return
    arrived: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: arrived.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if arrived:
        raise KeyboardInterrupt


class Verb(click.Command):
    """A command whose help lists its arguments, too.

    Args:
        computes: Whether it needs JAX and the libraries upon it.
    """

    def __init__(self, *arguments: Any, computes: bool = False, **attributes: Any):
        super().__init__(*arguments, **attributes)
        self.computes = computes

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        if self.computes:
            # In the middle of their imports Ctrl-C ends in an error of an extension or in a crash,
            # or is lost in a callback of JAX to the garbage collector.
            with without_interruption():
                importlib.import_module("pinnzoo.training")
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the arguments with their help texts, then the options."""
        rows = [
            (" ".join(parameter.get_usage_pieces(ctx)), parameter.about)
            for parameter in self.params
            if isinstance(parameter, Argument)
        ]
        if rows:
            with formatter.section("Arguments"):
                formatter.write_dl(rows)
        super().format_options(ctx, formatter)


class Verbs(click.Group):
    """A group of commands in which a user's error is a sentence and not a traceback."""

    command_class = Verb

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; without any, print the help and exit with 2."""
        if not args and not ctx.resilient_parsing:
            # Versions of click differ in where they print it, and in what they exit with.
            click.echo(ctx.get_help())
            ctx.exit(click.UsageError.exit_code)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; exit with 1 after an error and with 130 after Ctrl-C."""
        try:
            return super().invoke(ctx)
        except PinnzooError as error:
            complain(str(error))
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            complain(f"{error.strerror or type(error).__name__}{where}.")
        except KeyboardInterrupt:
            complain("interrupted.")
            raise click.exceptions.Exit(INTERRUPTED) from None
        raise click.exceptions.Exit(FAILED)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The verb that is called; for a misspelt one, the error names what is close to it."""
        if args[0] not in self.commands:
            from difflib import get_close_matches

            if close := ", ".join(map(repr, get_close_matches(args[0], self.commands))):
                ctx.fail(f"No such command {args[0]!r}. Did you mean {close}?")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order in which they are defined."""
        del ctx
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each verb with the whole of its first sentence, which click would cut short."""
        rows = [
            (name, (command.help or "").partition("\n\n")[0])
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name)) is not None
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
