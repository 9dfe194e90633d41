"""The command `pinnzoo`: each verb makes plain data, which is printed as tables or as JSON.

Whatever needs JAX or matplotlib is imported in the verb that needs it, so that `list`, `info` and
`--help` answer at once.
"""

from pinnzoo.cli import make as make
from pinnzoo.cli import share as share
from pinnzoo.cli import show as show
from pinnzoo.cli.options import app as app
from pinnzoo.cli.output import tolerant_streams


def main() -> None:
    """Run the command with the arguments of the process."""
    tolerant_streams()
    app(prog_name="pinnzoo")
