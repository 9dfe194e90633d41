"""Asking a training to stop: Ctrl-C, and what an operating system or a batch queue sends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType


@dataclass
class Request:
    """Whether somebody asked for the end.

    Attributes:
        signals: The signals that arrived, in their order.
    """

    signals: list[int] = field(default_factory=list)

    @property
    def asked(self) -> bool:
        """Whether to stop after the step that is being done."""
        return bool(self.signals)

    @property
    def hurried(self) -> bool:
        """Whether the process will be killed soon: only what is needed is still done."""
        return any(number != signal.SIGINT for number in self.signals)


@contextmanager
def stop_request() -> Iterator[Request]:
    """While this is open, the first signal is a request, and the second one raises at once.

    Handlers that a program has set itself stay in place, and so does everything in threads, where
    Python allows none.

    Raises:
        KeyboardInterrupt: At the second signal.
    """
    request = Request()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        request.signals.append(number)
        if len(request.signals) > 1:
            raise KeyboardInterrupt

    default = {signal.SIGINT: signal.default_int_handler}
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    ours = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in ours}
    taken = [n for n in ours if before[n] == default.get(n, signal.SIG_DFL)]
    for number in taken:
        signal.signal(number, handle)
    try:
        yield request
    finally:
        for number in taken:
            signal.signal(number, before[number])
