"""What kernels, inference rules and lowerings have in common: a view of a node with typed attributes, and tables by op.

    TABLE = OpTable("kernel")

    @TABLE.op("BiasAdd", attrs={"data_format"})
    def bias_add(node, x, bias): ...

Each family of ops keeps a table of its own; `OpTable.merged` joins them, and a double entry is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeGuard, TypeVar

from tensorferry.formats.dtype import DType
from tensorferry.formats.errors import GraphError, UnsupportedError, listing
from tensorferry.formats.tensor import Tensor

from .ir import Attr, AttrList, FuncRef, Graph, Node, Shape
from .op_registry import attr_defaults, attr_value, type_attrs

Handler = TypeVar("Handler", bound=Callable[..., Any])
_Kind = TypeVar("_Kind")


class OpNode:
    """A node of the TensorFlow dialect with its attributes by type, defaults filled in.

    A missing attribute or one of another type is a GraphError that names node, op and attribute.
    """

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        self.node = node

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def op(self) -> str:
        return self.node.op

    def has(self, name: str) -> bool:
        """Whether the node or its op's defaults give the attribute."""
        return attr_value(self.node, name) is not None

    def integer(self, name: str) -> int:
        return self._get(name, int)

    def real(self, name: str) -> float:
        return self._get(name, float)

    def flag(self, name: str) -> bool:
        return self._get(name, bool)

    def text(self, name: str) -> str:
        return self._get(name, bytes).decode("utf-8", "replace")

    def dtype(self, name: str) -> DType:
        return self._get(name, DType)

    def shape(self, name: str) -> Shape:
        return self._get(name, Shape)

    def tensor(self, name: str) -> Tensor:
        return self._get(name, Tensor)  # type: ignore[type-abstract]

    def func(self, name: str) -> FuncRef:
        return self._get(name, FuncRef)

    def graph(self, name: str) -> Graph:
        return self._get(name, Graph)

    def integers(self, name: str) -> tuple[int, ...]:
        return self._list(name, int)

    def reals(self, name: str) -> tuple[float, ...]:
        return self._list(name, float)

    def flags(self, name: str) -> tuple[bool, ...]:
        return self._list(name, bool)

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(text.decode("utf-8", "replace") for text in self._list(name, bytes))

    def dtypes(self, name: str) -> tuple[DType, ...]:
        return self._list(name, DType)

    def shapes(self, name: str) -> tuple[Shape, ...]:
        return self._list(name, Shape)

    def _get(self, name: str, kind: type[_Kind]) -> _Kind:
        value = attr_value(self.node, name)
        if not _is_a(value, kind):
            raise self._error(name, kind.__name__.lower(), value)
        return value

    def _list(self, name: str, kind: type[_Kind]) -> tuple[_Kind, ...]:
        value = self._get(name, AttrList)
        if not all(_is_a(item, kind) for item in value.items):
            raise self._error(name, f"list of {kind.__name__.lower()}", value)
        return value.items  # type: ignore[return-value]

    def _error(self, name: str, wanted: str, got: Attr) -> GraphError:
        found = "none" if got is None else repr(got)[:80]
        return GraphError(self.name, f"expected {self.op}'s attribute {name!r} to be a {wanted}, got {found}")


def _is_a(value: Attr, kind: type[_Kind]) -> TypeGuard[_Kind]:
    """Whether a value is of a kind. A bool is an int to Python, not to a graph."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


class OpTable(Generic[Handler]):
    """Handlers by op name, each with the attributes that it understands.

    `purpose` is what one handler is called in messages ("kernel", "lowering").
    """

    def __init__(self, purpose: str) -> None:
        self.purpose = purpose
        self._handlers: dict[str, Handler] = {}
        self._attrs: dict[str, frozenset[str]] = {}

    @classmethod
    def merged(cls, purpose: str, tables: Iterable[OpTable[Handler]]) -> OpTable[Handler]:
        """One table of all; KeyError where two handle the same op."""
        whole = cls(purpose)
        for table in tables:
            for op, handler in table._handlers.items():
                whole.add(op, handler, table._attrs[op])
        return whole

    def op(self, *names: str, attrs: Iterable[str] = ()) -> Callable[[Handler], Handler]:
        """Registers a handler for the ops `names`, which understands the attributes `attrs`.

        Attributes that only give types and counts of arguments need no mention.
        """

        def register(handler: Handler) -> Handler:
            for name in names:
                self.add(name, handler, attrs)
            return handler

        return register

    def add(self, name: str, handler: Handler, attrs: Iterable[str] = ()) -> None:
        """Registers one handler; KeyError where the op has one."""
        if name in self._handlers:
            raise KeyError(f"two {self.purpose}s for {name}")
        self._handlers[name] = handler
        self._attrs[name] = frozenset(attrs)

    def __contains__(self, op: object) -> bool:
        return op in self._handlers

    def __iter__(self) -> Iterator[str]:
        return iter(self._handlers)

    def __len__(self) -> int:
        return len(self._handlers)

    def find(self, node: Node) -> Handler:
        """The handler for a node. UnsupportedError where there is none, or where it knows not all the attributes."""
        handler = self._handlers.get(node.op)
        if handler is None:
            raise UnsupportedError(node.name, f"no {self.purpose} for {node.op}")
        unknown = self.unknown_attrs(node)
        if unknown:
            raise UnsupportedError(node.name, f"the {self.purpose} of {node.op} knows no attribute {listing(unknown)}")
        return handler

    def unknown_attrs(self, node: Node) -> list[str]:
        """The attributes that would be ignored: not declared, not mere types, not private, not at their default."""
        known = self._attrs[node.op] | type_attrs(node.op)
        defaults = attr_defaults(node.op)
        return [
            name
            for name, value in node.attrs.items()
            if name not in known and not name.startswith("_") and (name not in defaults or defaults[name] != value)
        ]
