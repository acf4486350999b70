"""SentencePiece models (`spiece.model`, `30k-clean.model`): the pieces of a vocabulary and what normalizes a text.

    ModelProto      1  piece*            {1: text, 2: score (float), 3: type}
                    3  NormalizerSpec    {2: precompiled_charsmap (bytes)}

The number of a piece is its place. Of types only one matters here: exactly one piece is unknown (2), for what no other
has. The map of characters is a blob that the readers of tokenizers take as it is; it may be empty.

Source: sentencepiece's src/sentencepiece_model.proto.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

from .binary import BinaryFile, Path, open_file
from .errors import FormatError
from .wire import BYTES, FOUR, VARINT, Field, fields

MAX_SIZE = 256 << 20
"""Bytes of a model; the largest that is published has 4 MB."""

_UNKNOWN = 2
_WHAT = "a SentencePiece model"


@dataclass(slots=True)
class SentencePieceModel:
    """The pieces with their scores, by number; the number of the unknown one; the map of characters."""

    pieces: list[tuple[str, float]] = field(default_factory=list)
    unknown: int = -1
    characters: bytes = b""


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """The model in a file. FormatError where it is none."""
    model = SentencePieceModel()
    with open_file(path, _WHAT) as file:
        if file.size > MAX_SIZE:
            raise FormatError(path, f"expected {_WHAT} of at most {MAX_SIZE} bytes, got {file.size}")
        for found in fields(file, 0, file.size):
            if (found.number, found.kind) == (1, BYTES):
                _add_piece(model, file, found)
            elif (found.number, found.kind) == (3, BYTES):
                for each in fields(file, found.start, found.end):
                    if (each.number, each.kind) == (2, BYTES):
                        model.characters = _bytes(file, each)
    if model.unknown < 0:
        raise FormatError(path, f"expected {_WHAT}, got {len(model.pieces)} pieces without an unknown one")
    return model


def _add_piece(model: SentencePieceModel, file: BinaryFile, piece: Field) -> None:
    text, score, kind = "", 0.0, 1
    for found in fields(file, piece.start, piece.end):
        if (found.number, found.kind) == (1, BYTES):
            try:
                text = _bytes(file, found).decode("utf-8")
            except UnicodeDecodeError:
                raise FormatError(file.path, f"expected a piece in UTF-8 at byte {found.start}, got others") from None
        elif (found.number, found.kind) == (2, FOUR):
            (score,) = struct.unpack("<f", _bytes(file, found))
        elif (found.number, found.kind) == (3, VARINT):
            kind = found.value
    if not math.isfinite(score):
        raise FormatError(file.path, f"expected a finite score of the piece at byte {piece.begin}, got {score}")
    if kind == _UNKNOWN:
        if model.unknown >= 0:
            raise FormatError(file.path, f"expected one unknown piece, got another at byte {piece.begin}")
        model.unknown = len(model.pieces)
    model.pieces.append((text, score))


def _bytes(file: BinaryFile, found: Field) -> bytes:
    return bytes(file.window(found.start, found.end - found.start, "a piece").data)
