"""The MAP's entry: `python -m apps.map -i STUDY -o OUT -m models`.

Paths not given come from HOLOSCAN_INPUT_PATH, HOLOSCAN_OUTPUT_PATH and HOLOSCAN_MODEL_PATH, the
configuration from HOLOSCAN_CONFIG_PATH, as the MONAI Application Package contract says.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from operators.errors import EXIT_MEANINGS, ExitCode, LentiformError, report_error


def main(argv: list[str] | None = None) -> int:
    """Run one study; the exit code says what was assessed."""
    try:
        from apps.map.run import RunPaths, run_study

        options = _parser().parse_args(argv)
        paths = RunPaths(options.input, options.output, options.model, options.config)
        return run_study(paths, study_uid=options.study_uid, overwrite=options.overwrite)
    except LentiformError as error:
        return report_error(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    from apps.map.settings import DEFAULT_CONFIG, DEFAULT_MODELS

    def folder(variable: str, default: Path | str) -> Path:
        return Path(os.environ.get(variable) or default)

    codes = "\n".join(f"  {code.value:>3}  {text}" for code, text in EXIT_MEANINGS.items())
    parser = argparse.ArgumentParser(
        prog="python -m apps.map",
        description="Assess one brain MR study: DICOM in, DICOM SEG, SR and report out.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-i", "--input", type=Path, default=folder("HOLOSCAN_INPUT_PATH", "input"))
    parser.add_argument(
        "-o", "--output", type=Path, default=folder("HOLOSCAN_OUTPUT_PATH", "output")
    )
    parser.add_argument(
        "-m", "--model", type=Path, default=folder("HOLOSCAN_MODEL_PATH", DEFAULT_MODELS)
    )
    parser.add_argument(
        "--config", type=Path, default=folder("HOLOSCAN_CONFIG_PATH", DEFAULT_CONFIG)
    )
    parser.add_argument("--study-uid", default=None, help="which study of a mixed folder")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier result")
    return parser


if __name__ == "__main__":
    sys.exit(main())
