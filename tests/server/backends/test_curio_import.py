"""Curio is imported where names that it needs are gone."""

import subprocess
import sys

PROGRAM = """
import multiprocessing.connection, ssl
for module, name in ((multiprocessing.connection, "CHALLENGE"), (multiprocessing.connection, "WELCOME"),
                     (multiprocessing.connection, "FAILURE"), (ssl, "wrap_socket")):
    if hasattr(module, name):
        delattr(module, name)
from canet.server.backends.curio_import import curio
async def main():
    await curio.sleep(0)
    return "runs"
print(curio.run(main))
"""


def test_python_without_the_names() -> None:
    """As on Python 3.12 and later."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=False)

    assert (done.stdout.strip(), done.stderr) == ("runs", "")
