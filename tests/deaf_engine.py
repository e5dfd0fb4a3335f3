"""What stands in for an engine that does not end when asked to; a module of its own, so that its processes start at once."""

import signal
import time
from multiprocessing.connection import Connection


def serve(pipe: Connection) -> None:
    """Say that it is ready, and wait to be killed."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pipe.send("ready")
    time.sleep(60)
