"""Einsum of two tensors: the matrix product that it spells, its operands turned as MatMul has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgendt.lower.calls import Call
from edgendt.lower.patterns import check_weights, moved
from edgendt.lower.values import Constant, Scores, Value, View
from edgendt.lower.views import normal, view


def einsum(call: Call, matmul: Callable[[Call], Value]) -> Value:
    """A product over one letter; matmul: reads one as MatMul. ValueError for what is none."""
    call.arity(2)
    inputs, output = spelt(str(call.attributes.get("equation", "")))
    (left, right), tensors = call.inputs, call.tensors
    if isinstance(left, Constant) or (isinstance(right, View) and isinstance(right.source, Scores)):
        left, right, inputs, tensors = right, left, inputs[::-1], tensors[::-1]
    shared, rows, summed, columns = parts(inputs, output)
    turned = (
        turn(call, left, inputs[0], [*shared, *rows, *summed]),
        turn(call, right, inputs[1], [*shared, *summed, *columns]),
    )
    made = matmul(replace(call, inputs=turned, tensors=tensors))
    return turn(call, made, "".join([*shared, *rows, *columns]), list(output))


def parts(inputs: list[str], output: str) -> tuple[list[str], list[str], list[str], list[str]]:
    """(letters of both operands and the output, of the left and it, of both but it, of the right and it).

    ValueError for what is no matrix product.
    """
    summed = [letter for letter in inputs[0] if letter in inputs[1] and letter not in output]
    columns = [letter for letter in output if letter not in inputs[0]]
    shared = [letter for letter in output if letter in inputs[0] and letter in inputs[1]]
    rows = [letter for letter in output if letter in inputs[0] and letter not in inputs[1]]
    if len(summed) != 1 or len(columns) != 1 or len(rows) < 1 or set("".join(inputs)) - set(summed) != set(output):
        raise ValueError("it must be a product over one letter, with one letter of the right operand in the output")
    return shared, rows, summed, columns


def check(call: Call) -> None:
    """ValueError for an equation that is no product, or for weights that none has, whatever the other operand is."""
    call.arity(2)
    inputs, output = spelt(str(call.attributes.get("equation", "")))
    left, right = call.inputs
    if isinstance(left, Constant) or isinstance(right, Constant):
        weight, inputs = (right, inputs) if isinstance(right, Constant) else (left, inputs[::-1])
        shared, _, summed, columns = parts(inputs, output)
        check_weights(turn(call, weight, inputs[1], [*shared, *summed, *columns]))
        return
    try:
        parts(inputs, output)
    except ValueError:  # probabilities may stand on the right
        parts(inputs[::-1], output)


def spelt(equation: str) -> tuple[list[str], str]:
    """(letters of the operands, letters of the output). ValueError for repeated letters and dots."""
    operands, arrow, output = equation.replace(" ", "").partition("->")
    inputs = operands.split(",")
    if (
        not arrow
        or len(inputs) != 2
        or not all(word.isalpha() and len(set(word)) == len(word) for word in (*inputs, output))
    ):
        raise ValueError(f"its equation must be two operands and an output of different letters, got {equation!r}")
    return inputs, output


def turn(call: Call, value: Value, letters: str, order: list[str]) -> Value:
    """A tensor whose axes have those letters, with its axes in another order."""
    axes = [letters.index(letter) for letter in order]
    if isinstance(value, Constant):
        if value.values.ndim != len(letters):
            raise ValueError(f"its operand must have {len(letters)} axes, got {value.values.ndim}")
        return moved(value, lambda array: array.transpose(axes))
    if axes == list(range(len(letters))) and not isinstance(value, View):
        return value
    seen = view(call.lowering, value)
    if seen.index.ndim != len(letters):
        raise ValueError(f"its operand must have {len(letters)} axes, got {seen.index.ndim}")
    return normal(call.lowering, replace(seen, index=np.transpose(seen.index, axes), name=call.name))
