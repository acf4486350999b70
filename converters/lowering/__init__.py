"""TensorFlow ops to ONNX ops.

engine      lower(graph, inputs, outputs): the whole way
cut         the piece of the graph between inputs and outputs
scope       node by node: what TensorFlow's values become, in the graph and in the bodies within
control_flow, loop_plan
            bodies: If and Loop; linear_forms, recurrent_cells and recurrent_layers find LSTM and GRU in loops
carried     complex numbers and lists of tensors, as the tensors that ONNX has for them
builder     what a lowering calls; sizes and emitter are its lower floors
op_types  what ONNX and onnxruntime take, and the casts around what they don't
math, array, nn, reduce, ...  the lowerings, by family
"""

from .engine import PASSES, lower, lowerings, newest_opset

__all__ = ["PASSES", "lower", "lowerings", "newest_opset"]
