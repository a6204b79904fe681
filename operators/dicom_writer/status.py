"""Which of the two questions a run answered: the one source of exit code, SR and findings.json."""

from __future__ import annotations

from operators.errors import EXIT_MEANINGS, ExitCode
from operators.types import Findings, NotAssessed


def exit_code(findings: Findings) -> ExitCode:
    """The exit code of a run that ends with these findings."""
    lesions = not isinstance(findings.lesions, NotAssessed)
    lnc = not isinstance(findings.lnc, NotAssessed)
    return {
        (True, True): ExitCode.COMPLETE,
        (False, True): ExitCode.LESIONS_NOT_ASSESSED,
        (True, False): ExitCode.LNC_NOT_ASSESSED,
        (False, False): ExitCode.NEITHER_ASSESSED,
    }[lesions, lnc]


def status(findings: Findings) -> dict[str, int | str]:
    """The exit code with its meaning, as findings.json and manifest.json carry it."""
    code = exit_code(findings)
    return {"exit_code": int(code), "meaning": EXIT_MEANINGS[code]}
