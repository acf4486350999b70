"""What a file of words beside a source tells: variables for the files that a table puts beside its result.

    {uncased = "vocab.txt"}                     whether a list of tokens, one a line, has none of A to Z, but in special
                                                ones ([MASK], <S>)
    {pieces = "spiece.model"}                   [[piece, score], ...] of a SentencePiece model; with `sentinels = 100`
                                                the pieces <extra_id_99> ... <extra_id_0> behind them
    {piece = "[CLS]", of = "spiece.model"}      the number of a piece
    {normalizer = "spiece.model"}               what it does to a text first, as tokenizer.json has it

The files bear the names that they get beside the result. A tokenizer.json has to be made of a SentencePiece model where
that has pieces of its user's: transformers 5 takes these for words of their own, and puts a space before what follows.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from tensorferry.formats.binary import read_file
from tensorferry.formats.errors import FormatError
from tensorferry.formats.sentencepiece_model import MAX_SIZE, read_sentencepiece

_FORMS = (
    {"uncased": str},
    {"pieces": str},
    {"pieces": str, "sentinels": int},
    {"piece": str, "of": str},
    {"normalizer": str},
)
_MOST = 10_000

_CASED = re.compile(r"^(?!\[[^]\n]*\]\r?$|<[^>\n]*>\r?$)[^A-Z\n]*[A-Z]", re.MULTILINE)
"""A line with a capital letter that is not all in brackets."""


def is_form(how: Any) -> bool:
    """Whether this says how a file tells something."""
    if not isinstance(how, dict):
        return False
    kinds = {key: type(value) for key, value in how.items()}
    return any(kinds == form for form in _FORMS) and 0 <= how.get("sentinels", 0) <= _MOST


def file_of(how: Mapping[str, Any]) -> str:
    """The name of the file that tells it, beside the result."""
    name: str = how.get("of") or how.get("uncased") or how.get("pieces") or how["normalizer"]
    return name


def tell(how: Mapping[str, Any], path: str) -> Any:
    """What the file at `path` tells. FormatError."""
    if "uncased" in how:
        return is_uncased(path)
    model = read_sentencepiece(path)
    if "normalizer" in how:
        if not model.characters:
            return {"type": "Sequence", "normalizers": []}
        return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(model.characters).decode()}
    if "pieces" in how:
        sentinels = [(f"<extra_id_{n}>", 0.0) for n in reversed(range(how.get("sentinels", 0)))]
        return [list(piece) for piece in (*model.pieces, *sentinels)]
    for number, (piece, _) in enumerate(model.pieces):
        if piece == how["piece"]:
            return number
    raise FormatError(path, f"expected a piece {how['piece']}, got none")


def is_uncased(path: str) -> bool:
    """Whether a vocabulary, a token a line, has none of A to Z but in special tokens. FormatError."""
    try:
        text = bytes(read_file(path, "a vocabulary", MAX_SIZE)).decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError(path, "expected a vocabulary in UTF-8, got other bytes") from None
    return _CASED.search(text) is None
