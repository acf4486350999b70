"""Frames: which loop of TensorFlow 1 each node of a graph is in.

    outer value -> Enter -> Merge -> ... LoopCond -> Switch -> Exit -> outer value
                              ^                        |
                              +---- NextIteration <----+

 1. Enter takes a value into the frame that its attribute `frame_name` names, inside of the frame that it is in
    itself; Exit takes one out. All other nodes are in the frame of their inputs, which has to be one and the same;
    a node without inputs is in the outermost frame.
 2. Enter and Exit belong to the inner frame, although the one's inputs and the other's output are of the outer one.
 3. `frame_name` tells loops of one outer frame apart.

A frame is known by its path: () is the outermost, ("a", "b") the loop b in the loop a.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tensorferry.formats.errors import GraphError

from ..ir import Node, node_name, value_name
from ..ops import OpNode

ENTERS = ("Enter", "RefEnter")
EXITS = ("Exit", "RefExit")
NEXTS = ("NextIteration", "RefNextIteration")
SWITCHES = ("Switch", "RefSwitch")
MERGES = ("Merge", "RefMerge")

Frame = tuple[str, ...]

DEEPEST = 50
"""Loops in loops, as deep as they may be."""


def frames_of(order: Sequence[Node], fed: Collection[str] = ()) -> dict[str, Frame]:
    """The frame of each node of `order` (producers before consumers); values in `fed` come from outside of all.

    GraphError where a node has inputs of several frames.
    """
    frames: dict[str, Frame] = {}
    outer: dict[str, Frame] = {}
    """Where a node's outputs are, by node."""
    for node in order:
        frame = _inputs_frame(node, outer, fed)
        if node.op in ENTERS:
            frame = (*frame, OpNode(node).text("frame_name"))
            if len(frame) > DEEPEST:
                raise GraphError(node.name, f"expected at most {DEEPEST} loops in each other, got more")
        frames[node.name] = frame
        if node.op in (*EXITS, *NEXTS) and not frame:
            raise GraphError(node.name, f"expected {node.op} in a loop, got one outside of loops")
        outer[node.name] = frame[:-1] if node.op in EXITS else frame
    for node in order:  # now that the edges back into the loops have a frame too
        if node.op in MERGES:
            _inputs_frame(node, outer, fed)
    return frames


def _inputs_frame(node: Node, outer: Mapping[str, Frame], fed: Collection[str]) -> Frame:
    """The frame of a node's inputs, as far as those are known: the edges back into a loop come later."""
    found: dict[Frame, str] = {}
    for value in node.inputs:
        name = node_name(value)
        if name in outer and (value.startswith("^") or value_name(value) not in fed):
            found.setdefault(outer[name], name)
    if len(found) > 1:
        places = ", ".join(f"{name} ({'/'.join(frame) or 'no loop'})" for frame, name in found.items())
        raise GraphError(node.name, f"expected inputs of one loop, got {places}")
    return next(iter(found), ())
