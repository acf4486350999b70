"""TensorFlow ops to ONNX ops.

engine      lower(graph, inputs, outputs): the whole way
cut         the piece of the graph between inputs and outputs
builder     what a lowering calls; sizes and emitter are its lower floors
op_types  what ONNX and onnxruntime take, and the casts around what they don't
math, array, nn, reduce, ...  the lowerings, by family
"""

from .engine import lower, lowerings, newest_opset

__all__ = ["lower", "lowerings", "newest_opset"]
