"""Shapes, element types and contents of the values of a TensorFlow graph.

engine       infer(graph): visits the nodes, applies the rules, names what stays unknown
facts        what a rule says
elementwise, array, shaping, selection, reduce, linear, nn, image
             the rules, by family
"""

from .engine import Inference, InputShapes, infer, misfit, rules

__all__ = ["Inference", "InputShapes", "infer", "misfit", "rules"]
