"""Run an ONNX model without inputs and print its outputs: run_onnx.py MODEL.onnx"""

import sys

import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
for output, value in zip(session.get_outputs(), session.run(None, {}), strict=True):
    print(output.name, value)
