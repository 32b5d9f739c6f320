"""Runs at the start of each Jupyter kernel, and makes it slower than a usual limit of handshakes."""

import time

time.sleep(13)
