"""The command `pinnzoo`: each verb makes plain data, which is printed as tables or as JSON."""

from pinnzoo.cli.verbs import app as app


def main() -> None:
    """Run the command with the arguments of the process."""
    app(prog_name="pinnzoo")
