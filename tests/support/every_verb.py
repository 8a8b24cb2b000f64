"""The verbs, one after the other, in an installation: `python every_verb.py [FOLDER]`, with its own interpreter.

For a wheel in an environment of its own, where no test tools are: what is declared must be enough. Prints each command
and stops at the first that does not end as it should.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

COMMANDS = (
    "--version",
    "demo --out phantom",
    "info phantom",
    "info phantom --json",
    "find phantom",
    "tags phantom --lang zh",
    "check phantom/phantom.nii.gz phantom --fix fixed.nii.gz",
    "volume phantom out.nii.gz",
    "volume phantom out.zarr",
    "image phantom out.png --planes",
    "measure phantom",
    "masks threshold:300 bone.nii.gz --on phantom --to nifti",
    "compress phantom htj2k --to htj2k",
    "compress htj2k back --to explicit",
    "verify phantom htj2k",
    "copy phantom copied",
    "deidentify phantom nobody",
    "demo --phantom catphan604 --out catphan",
    "qa catphan qa",
)
"""Commands that the base installation can do, in the order in which each finds what it needs."""

READY_S = 60


def run(command: str, folder: Path) -> None:
    """Run `hounsfield COMMAND` in `folder`. Raises `SystemExit` with what it printed, where it fails."""
    print(f"hounsfield {command}", flush=True)
    words = [sys.executable, "-X", "utf8", "-m", "hounsfield", *command.split()]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:
        sys.exit(f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}")


def serve(folder: Path) -> None:
    """Serve an archive of the phantom and ask it for its studies. Raises `SystemExit` where it does not answer."""
    print("hounsfield serve", flush=True)
    words = [sys.executable, "-m", "hounsfield", "serve", "archive", "--port", "0", "--import", "copied"]
    with subprocess.Popen(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        stop = threading.Timer(READY_S, server.kill)
        stop.start()
        assert server.stdout is not None
        said = ""
        try:
            for line in server.stdout:
                said += line
                if "http://" in line:
                    address = line[line.index("http://") :].split()[0].rstrip("/,;")
                    base = address.removesuffix("/dicom-web")
                    with urllib.request.urlopen(f"{base}/dicom-web/studies") as answer:
                        assert b"0020000D" in answer.read(), "no study"
                    return
        finally:
            stop.cancel()
            server.terminate()
        sys.exit(f"the server did not start\n{said}")


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    place.mkdir(parents=True, exist_ok=True)
    for each in COMMANDS:
        run(each, place)
    serve(place)
    print("every verb works")
