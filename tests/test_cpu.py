"""The CPU baseline computes the Program's real-valued network, one bin per call, sliding window included."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from firmware_cases import function
from networks import golden_ndt, random_counts, random_ndt

from edgendt.models.rotary import Rotary as FloatRotary
from edgendt.ops import Add, Attention, LayerNorm, Linear, Position, Rotary, Table
from edgendt.profile import cpu
from edgendt.program import INPUT, Program


def attend(q, k, v, op):
    """Float attention of a whole trial with the mask written out. q, k, v: [bins, size]."""
    q, k, v = (a.reshape(len(a), op.heads, op.head_size).transpose(1, 0, 2) for a in (q, k, v))
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(op.head_size)
    back = np.arange(q.shape[1])[:, None] - np.arange(q.shape[1])[None, :]
    scores = np.where((back >= 0) & (back < op.window), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return (weights @ v).transpose(1, 0, 2).reshape(q.shape[1], op.size)


def float_run(program: Program, counts) -> np.ndarray:
    """The network the constants stand for in float64, whole trial at once: no cache, no rounding."""
    values = {INPUT: counts.astype(np.float64)}
    for node in program.nodes:
        op, real = node.op, cpu.float_constants(node)
        x = [values[name] for name in node.inputs]
        if isinstance(op, Linear):
            y = x[0] @ real["weight"].T + real["bias"]
            y = y if op.y.signed else np.maximum(y, 0)
        elif isinstance(op, Position):
            y = x[0] + real["table"][: len(x[0])]
        elif isinstance(op, Table):
            nearest = np.rint(x[0] / op.x.scale).clip(op.x.lo, op.x.hi).astype(int) - op.x.lo
            y = (node.constants["table"] * op.y.scale)[nearest]
        elif isinstance(op, Rotary):
            times = torch.arange(len(x[0])) * (-1 if op.inverse else 1)
            y = FloatRotary(op.steps)(torch.from_numpy(x[0]), times).numpy()
        elif isinstance(op, LayerNorm):
            y = (x[0] - x[0].mean(1, keepdims=True)) / np.sqrt(x[0].var(1, keepdims=True) + cpu.epsilon(op))
            y = y * real["gamma"] + real["beta"]
        else:
            y = x[0] + x[1] if isinstance(op, Add) else attend(*x, op)
        values[node.name] = y
    return values[program.output]


@pytest.mark.parametrize("window", [1, 2, 9, 64])
def test_baseline_equals_the_float_network_past_the_window(window):
    program = random_ndt(3, window=window, bins=33, per_channel=True)
    counts = random_counts(program, 4, 33)
    np.testing.assert_allclose(cpu.Baseline(program).run(counts), float_run(program, counts), rtol=2e-3, atol=2e-3)


def test_baseline_looks_a_function_up_as_the_float_network_does():
    program, counts = function()
    np.testing.assert_allclose(cpu.Baseline(program).run(counts), float_run(program, counts), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("back", [(), ("layer0.q_rot", "layer1.k_rot")])
def test_baseline_turns_queries_and_keys_as_the_float_network_does(back):
    program = random_ndt(3, rotary=True)
    nodes = (replace(n, op=replace(n.op, inverse=True)) if n.name in back else n for n in program.nodes)
    program = replace(program, nodes=tuple(nodes))
    counts = random_counts(program, 4, 33)
    np.testing.assert_allclose(cpu.Baseline(program).run(counts), float_run(program, counts), rtol=2e-3, atol=2e-3)


def test_cache_keeps_window_minus_one_bins_and_reset_empties_it():
    program = random_ndt(5, window=9)
    baseline = cpu.Baseline(program)
    counts = random_counts(program, 6, 20).astype(np.float32)
    first = baseline.step(counts[0])
    for row in counts[1:]:
        baseline.step(row)
    assert {cache.shape[1] for cache in baseline._cache.values()} == {8}
    baseline.reset()
    np.testing.assert_array_equal(baseline.step(counts[0]), first)


def test_baseline_is_the_network_of_the_program():
    """Quantization noise apart: the golden network's integer outputs follow the float ones."""
    program, counts, expected = golden_ndt()
    got = cpu.Baseline(program).run(counts)
    want = expected[program.output] * program.output_format.scale
    assert 1 - ((want - got) ** 2).sum() / ((want - want.mean(0)) ** 2).sum() > 0.9


def test_every_attention_has_its_cache_in_the_graph():
    program = random_ndt(7, layers=3)
    names = [i.name for i in cpu.baseline_model(program).graph.input]
    attentions = [node.name for node in program.nodes if isinstance(node.op, Attention)]
    assert names == [INPUT, cpu.BIN, *(f"{name}/{kind}_past" for name in attentions for kind in "kv")]


def test_measure_times_one_and_all_threads():
    program = random_ndt(8)
    times = cpu.measure(program, [random_counts(program, 9, 20)], bins=50, warmup=20, rounds=2)
    assert [time.threads for time in times] == sorted({1, cpu.cores()})
    assert all(time.bins == 60 and 0 < time.p50_us <= time.p99_us <= time.max_us for time in times)
