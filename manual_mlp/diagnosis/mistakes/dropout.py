"""Mistakes of dropout."""

from manual_mlp.diagnosis.mistakes.mistake import known

DROPOUT = [
    known(
        "dropout_scaled_twice",
        "what is kept is scaled twice",
        "out = x mask / (1 - p)",
        "dropout",
        {
            "dropout.out": lambda v: v.x * v.kept / (1 - v.p) ** 2,
            "dropout.dx": lambda v: v.dout * v.kept / (1 - v.p) ** 2,
        },
        {"dropout.out": lambda v: v.x * v.kept / (1 - v.p) ** 2},
        {"dropout.dx": lambda v: v.dout * v.kept / (1 - v.p) ** 2},
    ),
    known(
        "dropout_not_scaled",
        "what is kept is not scaled: its sum is smaller in training than at test time",
        "out = x mask / (1 - p)",
        "dropout",
        {"dropout.out": lambda v: v.x * v.kept, "dropout.dx": lambda v: v.dout * v.kept},
        {"dropout.out": lambda v: v.x * v.kept},
        {"dropout.dx": lambda v: v.dout * v.kept},
    ),
    known(
        "dropout_scaled_by_wrong_probability",
        "what is kept is divided by the probability to drop instead of the one to keep",
        "out = x mask / (1 - p)",
        "dropout",
        {"dropout.out": lambda v: v.x * v.kept / v.p, "dropout.dx": lambda v: v.dout * v.kept / v.p},
        {"dropout.out": lambda v: v.x * v.kept / v.p},
        {"dropout.dx": lambda v: v.dout * v.kept / v.p},
    ),
    known(
        "dropout_multiplied",
        "what is kept is multiplied by the probability to keep instead of divided by it",
        "out = x mask / (1 - p)",
        "dropout",
        {"dropout.out": lambda v: v.x * v.kept * (1 - v.p), "dropout.dx": lambda v: v.dout * v.kept * (1 - v.p)},
        {"dropout.out": lambda v: v.x * v.kept * (1 - v.p)},
        {"dropout.dx": lambda v: v.dout * v.kept * (1 - v.p)},
    ),
    known(
        "dropout_gradient_not_masked",
        "the gradient is not masked: it passes through dropped units, too",
        "dx = dout mask / (1 - p), with the mask of the forward pass",
        "dropout",
        {"dropout.dx": lambda v: v.dout},
        {"dropout.dx": lambda v: v.dout / (1 - v.p)},
    ),
]
