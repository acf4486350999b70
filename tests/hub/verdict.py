"""What a judge's verdict on a directory has to be."""

from __future__ import annotations

from typing import Any


def require_clean(verdict: dict[str, Any]) -> None:
    """It loaded, with all that it looked for, and found nothing else."""
    assert "error" not in verdict, verdict
    assert verdict["missing_keys"] == []
    assert verdict["unexpected_keys"] == []
    assert verdict["mismatched_keys"] == []
