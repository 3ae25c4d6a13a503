"""Mistakes of softmax and cross-entropy, and of the class scores that go into them."""

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import BATCH_SIZES, known
from manual_mlp.diagnosis.textbook import cross_entropy
from manual_mlp.layers import Array


def softmax(scores: Array) -> Array:
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


SOFTMAX = [
    known(
        "log10",
        "the logarithm is that to the base of 10",
        "loss = -1/N Σₙ ln p[n, yₙ]",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.losses": lambda v: cross_entropy(v.target, v.log_p) / np.log(10)},
        {
            "softmax_cross_entropy.losses": lambda v: cross_entropy(v.target, v.log_p) / np.log(10),
            "softmax_cross_entropy.dlosses": lambda v: (v.p - v.target_backward) / np.log(10),
        },
    ),
    known(
        "log2",
        "the logarithm is that to the base of 2",
        "loss = -1/N Σₙ ln p[n, yₙ]",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.losses": lambda v: cross_entropy(v.target, v.log_p) / np.log(2)},
    ),
    known(
        "softmax_not_normalized",
        "the exponentials are not divided by their sum: they are no probabilities",
        "p = exp(shifted) / Σₖ exp(shifted)",
        "softmax-cross-entropy",
        {
            "softmax_cross_entropy.p": lambda v: np.exp(v.shifted),
            "softmax_cross_entropy.log_p": lambda v: v.shifted,
        },
        {"softmax_cross_entropy.log_p": lambda v: v.shifted},
    ),
    known(
        "eps_in_log",
        "a small number is added inside the logarithm, which hides a probability of 0 instead of avoiding it",
        "ln p = shifted - ln Σ exp(shifted), with the row's maximum subtracted",
        "softmax-cross-entropy",
        *(
            {"softmax_cross_entropy.losses": lambda v, e=e: cross_entropy(v.target, np.log(np.exp(v.log_p) + e))}
            for e in 10.0 ** -np.arange(3, 31)
        ),
        {
            "softmax_cross_entropy.losses": lambda v: cross_entropy(
                v.target, np.log(np.exp(v.log_p) + np.finfo(float).eps)
            )
        },
    ),
    known(
        "log_clipped",
        "probabilities are clipped before the logarithm",
        "ln p = shifted - ln Σ exp(shifted), with the row's maximum subtracted",
        "softmax-cross-entropy",
        *(
            {
                "softmax_cross_entropy.losses": lambda v, e=e: cross_entropy(
                    v.target, np.log(np.clip(np.exp(v.log_p), e, 1 - e))
                )
            }
            for e in 10.0 ** -np.arange(3, 17)
        ),
    ),
    known(
        "loss_summed",
        "the loss is summed over the batch instead of averaged",
        "loss = -1/N Σₙ ln p[n, yₙ]",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.loss": lambda v: v.losses.sum()},
        {
            "softmax_cross_entropy.loss": lambda v: v.losses.sum(),
            "softmax_cross_entropy.dlogits": lambda v: v.dlosses,
        },
    ),
    known(
        "loss_fixed_batch_size",
        "the loss is divided by a fixed batch size instead of by the number of images that it is given",
        "loss = -1/N Σₙ ln p[n, yₙ], N = len(y)",
        "softmax-cross-entropy",
        *(
            {"softmax_cross_entropy.loss": lambda v, n=n: v.losses.sum() / n} | gradient
            for n in BATCH_SIZES
            for gradient in ({"softmax_cross_entropy.dlogits": lambda v, n=n: v.dlosses / n}, {})
        ),
    ),
    known(
        "loss_of_every_class",
        "the logarithms of all classes' probabilities are summed, not those of the right classes alone",
        "loss = -1/N Σₙ ln p[n, yₙ]",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.losses": lambda v: -v.log_p.sum(axis=1)},
    ),
    known(
        "loss_over_classes",
        "the loss is divided by the number of classes",
        "loss = -1/N Σₙ ln p[n, yₙ]",
        "softmax-cross-entropy",
        *(
            {"softmax_cross_entropy.loss": loss} | gradient
            for loss, gradient in (
                (lambda v: v.losses.sum() / v.p.size, {}),
                (
                    lambda v: v.losses.sum() / v.p.size,
                    {"softmax_cross_entropy.dlogits": lambda v: v.dlosses / v.p.size},
                ),
                (lambda v: v.losses.sum() / v.p.shape[1], {}),
                (
                    lambda v: v.losses.sum() / v.p.shape[1],
                    {"softmax_cross_entropy.dlogits": lambda v: v.dlosses / v.p.shape[1]},
                ),
            )
        ),
    ),
    known(
        "softmax_wrong_axis",
        "the softmax is taken over the images instead of over the classes",
        "p[n] = exp(logits[n]) / Σₖ exp(logits[n, k])",
        "softmax-cross-entropy",
        {
            "softmax_cross_entropy.p": lambda v: np.exp(v.logits) / np.exp(v.logits).sum(axis=0),
            "softmax_cross_entropy.log_p": lambda v: np.log(v.p),
        },
        {
            "softmax_cross_entropy.p": lambda v: np.exp(v.shifted) / np.exp(v.shifted).sum(axis=0),
            "softmax_cross_entropy.log_p": lambda v: np.log(v.p),
        },
        {
            "softmax_cross_entropy.p": lambda v: np.exp(v.logits) / np.exp(v.logits).sum(),
            "softmax_cross_entropy.log_p": lambda v: np.log(v.p),
        },
        {
            "softmax_cross_entropy.p": lambda v: np.exp(v.shifted) / np.exp(v.shifted).sum(),
            "softmax_cross_entropy.log_p": lambda v: np.log(v.p),
        },
    ),
    known(
        "softmax_not_shifted",
        "the softmax is not shifted by the row's maximum: exp overflows for large class scores",
        "shifted = logits - maxₖ logits[n, k]",
        "softmax-cross-entropy",
        {
            "softmax_cross_entropy.p": lambda v: np.exp(v.logits) / np.exp(v.logits).sum(axis=1, keepdims=True),
            "softmax_cross_entropy.log_p": lambda v: np.log(v.p),
        },
        {"softmax_cross_entropy.shifted": lambda v: v.logits},
        {
            "softmax_cross_entropy.shifted": lambda v: v.logits,
            "softmax_cross_entropy.p": lambda v: np.exp(v.logits - np.log(np.exp(v.logits).sum(axis=1, keepdims=True))),
        },
    ),
    known(
        "softmax_shifted_by_batch_maximum",
        "the softmax is shifted by the maximum of the whole batch: the probabilities of other rows become 0",
        "shifted = logits - maxₖ logits[n, k], row by row",
        "softmax-cross-entropy",
        {
            "softmax_cross_entropy.shifted": lambda v: v.logits - v.logits.max(),
            "softmax_cross_entropy.log_p": lambda v: np.log(v.p),
        },
        {"softmax_cross_entropy.shifted": lambda v: v.logits - v.logits.max()},
    ),
    known(
        "softmax_shifted_by_class_maxima",
        "every class is shifted by its own maximum over the batch, which changes the probabilities",
        "shifted = logits - maxₖ logits[n, k], row by row",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.shifted": lambda v: v.logits - v.logits.max(axis=0)},
        {
            "softmax_cross_entropy.shifted": lambda v: v.logits - v.logits.max(axis=0),
            "softmax_cross_entropy.log_p": lambda v: np.log(v.p),
        },
    ),
    known(
        "log_of_softmax",
        "the logarithm is taken of a probability that has become 0: softmax and logarithm belong together",
        "ln p = shifted - ln Σ exp(shifted)",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.log_p": lambda v: np.log(v.p)},
        {"softmax_cross_entropy.log_p": lambda v: np.log(np.float32(v.p))},  # where it becomes 0 sooner
    ),
    known(
        "log_missing",
        "the logarithm is missing: the loss is the probability itself",
        "loss = -1/N Σₙ ln p[n, yₙ]",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.losses": lambda v: -(v.target * v.p).sum(axis=1)},
        {"softmax_cross_entropy.losses": lambda v: 1 - (v.target * v.p).sum(axis=1)},
    ),
    known(
        "labels_of_all_images",
        "[:, y] takes the labels of all images for every image; [arange(N), y] takes for each its own",
        "loss = -1/N Σₙ ln p[n, yₙ], dlogits = (p - onehot(y)) / N",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.losses": lambda v: -v.log_p[:, v.y].sum(axis=1)},
        {"softmax_cross_entropy.dlosses": lambda v: v.p - v.target_backward.any(axis=0)},
        {
            "softmax_cross_entropy.losses": lambda v: -v.log_p[:, v.y].sum(axis=1),
            "softmax_cross_entropy.dlosses": lambda v: v.p - v.target_backward.any(axis=0),
        },
    ),
    known(
        "loss_sign",
        "the loss has the wrong sign",
        "loss = -1/N Σₙ ln p[n, yₙ]",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.loss": lambda v: -v.losses.sum() / len(v.y)},
    ),
    known(
        "loss_gradient_summed",
        "the gradient of the loss is not divided by the batch size, the loss is",
        "dlogits = (p - onehot(y)) / N",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.dlogits": lambda v: v.dlosses},
    ),
    known(
        "loss_gradient_fixed_batch_size",
        "the gradient of the loss is divided by a fixed batch size",
        "dlogits = (p - onehot(y)) / N, N = len(y)",
        "softmax-cross-entropy",
        *({"softmax_cross_entropy.dlogits": lambda v, n=n: v.dlosses / n} for n in BATCH_SIZES),
    ),
    known(
        "loss_gradient_over_classes",
        "the gradient of the loss is divided by the number of classes",
        "dlogits = (p - onehot(y)) / N",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.dlogits": lambda v: v.dlosses / v.p.size},
        {"softmax_cross_entropy.dlogits": lambda v: v.dlosses / v.p.shape[1]},
    ),
    known(
        "loss_gradient_averaged_twice",
        "the gradient of the loss is divided by the batch size twice",
        "dlogits = (p - onehot(y)) / N",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.dlogits": lambda v: v.dlosses / len(v.y) ** 2},
    ),
    known(
        "loss_gradient_sign",
        "the gradient of the loss has the wrong sign: onehot(y) - p",
        "dlogits = (p - onehot(y)) / N",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.dlogits": lambda v: -v.dlosses / len(v.y)},
    ),
    known(
        "loss_gradient_without_labels",
        "the labels are missing in the gradient of the loss: 1 is not subtracted at the right class",
        "dlogits = (p - onehot(y)) / N",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.dlosses": lambda v: v.p},
    ),
    known(
        "loss_gradient_label_added",
        "1 is added at the right class instead of subtracted: p + onehot(y)",
        "dlogits = (p - onehot(y)) / N",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.dlosses": lambda v: v.p + v.target_backward},
    ),
    known(
        "loss_gradient_label_not_averaged",
        "1 is subtracted at the right class behind the division by N instead of in front of it",
        "dlogits = (p - onehot(y)) / N",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.dlogits": lambda v: v.p / len(v.y) - v.target_backward},
    ),
    known(
        "loss_gradient_label_subtracted",
        "the class number itself is subtracted, not its one-hot row",
        "dlogits = (p - onehot(y)) / N",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.dlosses": lambda v: v.p - v.y[:, None]},
    ),
    known(
        "loss_gradient_with_softmax_derivative",
        "p - onehot(y) is multiplied by the derivative of the softmax once more; it is in there already",
        "dlogits = (p - onehot(y)) / N",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.dlosses": lambda v: (v.p - v.target_backward) * v.p * (1 - v.p)},
    ),
]

RIGHT_AT_USUAL_SCORES = frozenset({"softmax_not_shifted", "softmax_shifted_by_batch_maximum", "log_of_softmax"})

SCORES = [
    known(
        "relu_on_scores",
        "a ReLU is applied to the class scores; the last layer has none",
        "logits = x Wᵀ + b",
        "softmax-cross-entropy",
        {"scores.out": lambda v: np.maximum(v.x, 0), "scores.dx": lambda v: v.dout * (v.x > 0)},
        {"scores.out": lambda v: np.maximum(v.x, 0)},
        network=True,
    ),
    known(
        "softmax_on_scores",
        "the softmax is taken twice: what goes into the loss are probabilities instead of class scores",
        "logits = x Wᵀ + b",
        "softmax-cross-entropy",
        {
            "scores.out": lambda v: softmax(v.x),
            "scores.dx": lambda v: v.out * (v.dout - (v.dout * v.out).sum(axis=1, keepdims=True)),
        },
        {"scores.out": lambda v: softmax(v.x)},
        network=True,
    ),
    known(
        "sigmoid_on_scores",
        "a sigmoid is applied to the class scores; the last layer has none",
        "logits = x Wᵀ + b",
        "softmax-cross-entropy",
        {
            "scores.out": lambda v: 1 / (1 + np.exp(-v.x)),
            "scores.dx": lambda v: v.dout * v.out * (1 - v.out),
        },
        {"scores.out": lambda v: 1 / (1 + np.exp(-v.x))},
        network=True,
    ),
    known(
        "scores_masked",
        "the gradient of the class scores is masked as if a ReLU stood there",
        "dlogits goes into the last linear layer as it is",
        "softmax-cross-entropy",
        {"scores.dx": lambda v: v.dout * (v.x > 0)},
        network=True,
    ),
]
