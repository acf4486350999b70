"""Tables proposed for a source and a target: `tensorferry map draft`.

wanted       what the target has: tensors, or names with shapes, or names alone
link         what is found: these sources give these targets, in one of these ways
prints       numbers that say which elements a tensor has, in any order; those of parts add up to the whole's
layouts      the ways from one shape to another of as many elements: transpose, reshape, squeeze, expand
by_values    links between tensors of the same elements: certain
parts        links by values between a tensor and its parts: split, unstack, concat, stack, slice, pad
likeness     how much two names agree
by_names     links between tensors whose shapes fit and whose names agree: likely
by_shapes    the same between a tensor and its parts
numbers      links whose names differ in numbers -> one rule with {n:int}
choices      rules that differ in a word -> one rule with {part:query|key|value}
drops        what is left of the source
draft        all of it: links, the rules that they make, and a trial of these
"""
