"""tensorferry carries trained models out of TensorFlow files, without TensorFlow.

    ckpt = tensorferry.load_checkpoint("model.ckpt")        a Mapping of names to lazy tensors
    ckpt["v"].numpy()
    model = tensorferry.load_model("model.ckpt.meta")       or .pb, .pbtxt, a checkpoint with its .meta
    tensorferry.convert("model.ckpt", "model.onnx", outputs=["add:0"], ema=True)
    tensorferry.to_onnx(model, outputs=["add:0"])           an onnx.ModelProto

Everything that goes wrong on the way is a `TensorferryError` with a one-line message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .api import convert, diff, evaluate, inspect, load_checkpoint, load_model, to_onnx, variables_to_restore
    from .converters.ir import Model
    from .converters.jobs.report import Report
    from .formats.errors import (
        DestinationError,
        FormatError,
        GraphError,
        NameMapError,
        TensorferryError,
        UnsupportedError,
        UsageError,
    )
    from .formats.tensor import Tensor

_HOMES = {
    "api": (
        "convert", "diff", "evaluate", "inspect", "load_checkpoint", "load_model", "to_onnx", "variables_to_restore",
    ),
    "converters.ir": ("Model",),
    "converters.jobs.report": ("Report",),
    "formats.errors": (
        "DestinationError", "FormatError", "GraphError", "NameMapError", "TensorferryError", "UnsupportedError",
        "UsageError",
    ),
    "formats.tensor": ("Tensor",),
}  # fmt: skip

__all__ = [
    "DestinationError",
    "FormatError",
    "GraphError",
    "Model",
    "NameMapError",
    "Report",
    "Tensor",
    "TensorferryError",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "convert",
    "diff",
    "evaluate",
    "inspect",
    "load_checkpoint",
    "load_model",
    "to_onnx",
    "variables_to_restore",
]


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first asked for, so that importing tensorferry costs nothing."""
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"{__name__}.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
