"""SentencePiece models: bytes by the format, and what is none."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tensorferry.formats import sentencepiece_model
from tensorferry.formats.errors import FormatError
from tensorferry.formats.sentencepiece_model import read_sentencepiece
from tensorferry.formats.wire import head, varint


def message(number: int, data: bytes) -> bytes:
    return head(number, len(data)) + data


def piece(text: str | bytes, score: float | None = None, kind: int | None = None) -> bytes:
    data = message(1, text.encode() if isinstance(text, str) else text)
    data += b"" if score is None else varint(2 << 3 | 5) + struct.pack("<f", score)
    data += b"" if kind is None else varint(3 << 3) + varint(kind)
    return message(1, data)


def model(*pieces: bytes, characters: bytes = b"") -> bytes:
    trainer = message(2, message(1, b"corpus.txt"))
    return b"".join(pieces) + trainer + message(3, message(1, b"nmt_nfkc") + message(2, characters))


def test_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.model"
    path.write_bytes(model(piece("<pad>", 0.0, 3), piece("<unk>", 0.0, 2), piece("\u2581a", -1.5), characters=b"\0\1"))
    found = read_sentencepiece(path)
    assert found.pieces == [("<pad>", 0.0), ("<unk>", 0.0), ("\u2581a", -1.5)]
    assert (found.unknown, found.characters) == (1, b"\0\1")


UNKNOWN = piece("<unk>", 0.0, 2)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "expected a SentencePiece model, got 0 pieces without an unknown one"),
        (model(piece("a", 0.0)), "expected a SentencePiece model, got 1 pieces without an unknown one"),
        (UNKNOWN + UNKNOWN, "expected one unknown piece, got another at byte 16"),
        (piece(b"\xff") + UNKNOWN, "expected a piece in UTF-8 at byte 4, got others"),
        (UNKNOWN + piece("a", float("nan")), "expected a finite score of the piece at byte 16, got nan"),
        (UNKNOWN + b"\x0a\x50", "expected a protobuf field of 80 bytes at byte 18, got 0"),
    ],
)
def test_what_is_none(tmp_path: Path, data: bytes, problem: str) -> None:
    path = tmp_path / "x.model"
    path.write_bytes(data)
    with pytest.raises(FormatError) as error:
        read_sentencepiece(path)
    assert str(error.value) == f"{path}: {problem}"


def test_cut_anywhere(tmp_path: Path) -> None:
    """A cut between two fields leaves a message; what follows an unknown piece may be missing unnoticed."""
    path, data = tmp_path / "x.model", model(piece("a", -1.0, 1), UNKNOWN)
    for size in range(len(data)):
        path.write_bytes(data[:size])
        try:
            found = read_sentencepiece(path)
        except FormatError:
            continue
        assert found.pieces == [("a", -1.0), ("<unk>", 0.0)]


def test_its_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentencepiece_model, "MAX_SIZE", 3)
    (tmp_path / "x.model").write_bytes(UNKNOWN)
    with pytest.raises(FormatError, match="expected a SentencePiece model of at most 3 bytes, got 16$"):
        read_sentencepiece(tmp_path / "x.model")
