"""Shapes, element types and contents of the values of a TensorFlow graph.

engine       infer(graph): visits the nodes, applies the rules, names what stays unknown
regions      the bodies of conditionals and loops; control_flow what is known behind them
facts        what a rule says
elementwise, array, shaping, selection, reduce, linear, nn, image, tensor_list, ...
             the rules, by family
"""

from .engine import Inference, InputShapes, analyse, infer, misfit, rules

__all__ = ["Inference", "InputShapes", "analyse", "infer", "misfit", "rules"]
