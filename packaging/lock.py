"""Write requirements.lock: one exact version of everything that any extra installs.

`python packaging/lock.py` asks pip to resolve the package with all its extras at once, so the
label server, the tests and the main job can share one environment.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
HEADER = "# Made by `make lock` from pyproject.toml with all extras; do not edit.\n"


def resolve() -> list[str]:
    """Every distribution pip would install, as sorted name==version lines."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed",
            "--report", str(report), f"{ROOT}[test,train,label]",
        ]
        subprocess.run(command, check=True)
        found = json.loads(report.read_text())["install"]
    pins = {
        item["metadata"]["name"].lower().replace("_", "-"): item["metadata"]["version"]
        for item in found
    }
    pins.pop("lentiform")
    return [f"{name}=={version.split('+')[0]}" for name, version in sorted(pins.items())]


if __name__ == "__main__":
    LOCK.write_text(HEADER + "\n".join(resolve()) + "\n")
    print(f"wrote {LOCK.name}")
