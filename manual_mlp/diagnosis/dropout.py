"""What is special about dropout: the mask is the code's own draw, p may mean one of two things, test time does nothing.

Masks are not predicted but read off: what is 0 was dropped. The rest is then judged with this mask.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from manual_mlp.checks import checked_share
from manual_mlp.diagnosis.report import DERIVATIONS, Finding, Report
from manual_mlp.diagnosis.strangers import Unusable, call, numbers
from manual_mlp.layers import Array

MOST_SIGMAS = 6.0  # of the sampling error of a share
BY_CHANCE = math.log(1e-9)  # right masks are accused less often, all comparisons of them taken together
CLOSE = 0.05  # how well a share must be known to tell what it is instead
LINK = f"{DERIVATIONS}#dropout"
DRAWN = "mask = rng.random(x.shape) >= p"


def checked_dropout(dropout: float | None) -> float | None:
    """The probability with which a network drops, if it does."""
    return None if dropout is None else checked_share("dropout", dropout, "leave it out where nothing is dropped")


def wrong_share(place: str, kept: float, total: int, p: float) -> Finding | None:
    """A finding where the masks do not keep a share of 1 - p of `total` units, p being the probability to drop."""
    error = MOST_SIGMAS * np.sqrt(p * (1 - p) / total)
    share = kept / total
    if abs(share - (1 - p)) < error:
        return None
    if share == 1:
        sentence, mistake = "nothing is dropped: the mask is not made, or never used", "dropout_never_applied"
    elif abs(share - p) < error:
        sentence = f"{share:.0%} of the units are kept, it should be {1 - p:.0%}: p is taken for the other probability"
        mistake = "dropout_p_keeps"
    elif min(abs(share - normal) for normal in (below(1 - p), 1 - below(p))) < error < CLOSE:
        sentence = (
            f"{share:.1%} of the units are kept, it should be {1 - p:.0%}: p is compared with normal numbers, as "
        )
        sentence += "randn draws them; rand draws uniform ones"
        mistake = "dropout_mask_of_normal_numbers"
    else:
        sentence, mistake = f"{share:.1%} of the units are kept, it should be {1 - p:.1%}", "dropout_wrong_share"
    return Finding(place, sentence, mistake, formula="mask = rng.random(x.shape) >= p", link=LINK)


def below(limit: float) -> float:
    """The share of a standard normal distribution that lies below a limit."""
    return (1 + math.erf(limit / math.sqrt(2))) / 2


def shared_draw(place: str, calls: Sequence[Sequence[Array]]) -> Finding | None:
    """A finding where units are kept or dropped together that should be drawn one by one: those of an image, of a
    batch, of two layers, of two calls. `calls` has what the masks of every layer kept, 1 or 0, call by call.
    """
    kept = sum(float(mask.sum()) for masks in calls for mask in masks)
    share = kept / sum(mask.size for masks in calls for mask in masks)
    if share in (0, 1):  # nothing is drawn
        return None
    limit = BY_CHANCE - math.log(2 * len(calls[0]) + math.comb(len(calls) * len(calls[0]), 2))  # of so many comparisons
    for of_a_layer in zip(*calls, strict=True):
        images = all((mask == mask[:1]).all() for mask in of_a_layer)
        units = all((mask == mask[:, :1]).all() for mask in of_a_layer)
        shapes = [mask.shape for mask in of_a_layer]
        by_chance = [sum(w * alike(n, share) for n, w in (shape[::step] for shape in shapes)) for step in (1, -1)]
        sentence = ""
        if images and by_chance[0] < limit:
            sentence = "one number decides about the whole batch" if units else "every image has the same mask"
        elif units and by_chance[1] < limit:
            sentence = "all units of an image are kept or dropped together"
        if sentence:
            sentence += ": draw as many numbers as x has"
            return Finding(place, sentence, "dropout_shared_draw", formula=DRAWN, link=LINK)
    for (one, masks), (other, others) in itertools.combinations_with_replacement(enumerate(calls), 2):
        for (layer, mask), (above, same) in itertools.product(enumerate(masks, 1), enumerate(others, 1)):
            size = min(mask.size, same.size)
            if (one, layer) >= (other, above) or size * alike(2, share) > limit:
                continue
            if (mask.ravel()[:size] == same.ravel()[:size]).all():
                again = one != other  # right where the seed is set for a gradient check
                sentence = "every call has the same mask" if again else f"layers {layer} and {above} drop alike"
                sentence += ": a seed that is set in the function draws the same numbers again"
                sentence += "; for a check that is right, in training set it once, outside" if again else ""
                return Finding(place, sentence, "dropout_same_mask", formula=DRAWN, link=LINK, remark=again)
    return None


def alike(count: int, share: float) -> float:
    """The logarithm of the probability that `count` units are all kept or all dropped, drawn one by one."""
    likelier, other = max(share, 1 - share), min(share, 1 - share)
    return count * math.log(likelier) + math.log1p((other / likelier) ** count)


class Dropped(NamedTuple):
    """A network's dropout on one batch."""

    p: float  # the probability to drop
    kept: Sequence[Array]  # of every hidden layer (N, H), 1 where its mask kept a unit, else 0


def read_masks(masks: Any, n: int, widths: Sequence[int], p: float) -> Dropped:
    """What the masks that a network returned have kept; 0 is dropped, whatever the rest is scaled by."""
    if not isinstance(masks, tuple | list) or len(masks) != len(widths):
        count = f" of {len(masks)}" if isinstance(masks, tuple | list) else ""
        raise Unusable(
            "masks", "wrong_type", f"it is a {type(masks).__name__}{count}; it must be a list of {len(widths)} arrays"
        )
    kept = []
    for layer, (mask, width) in enumerate(zip(masks, widths, strict=True), start=1):
        array, _ = numbers("masks", mask, (n, width))
        if array.shape != (n, width):
            sentence = f"that of layer {layer} has the shape {array.shape}; it must be {(n, width)}: images, units"
            raise Unusable("masks", "wrong_shape", sentence)
        kept.append((array != 0).astype(np.float64))
    return Dropped(p, kept)


def as_plain_dropout(report: Report) -> Report:
    """What is not scaled in training and scaled by 1 - p at test time instead, is right as well, and noted."""
    if {finding.mistake for finding in report.findings} != {"dropout_not_scaled", "dropout_scaled_at_test_time"}:
        return report
    note = "plain dropout: scaled by the probability to keep at test time, instead of by its inverse in training (the "
    note += "inverted dropout of CS231n's handout and of torch); both have the same mean"
    return replace(
        report,
        findings=[],
        agreeing=[*report.agreeing, *(finding.place for finding in report.findings)],
        notes=[*report.notes, note],
    )


def called_with_keep(function: Callable[..., Any]) -> Callable[..., Any]:
    """For a function whose p is the probability to keep: the same, called with the probability to drop."""
    return lambda x, p, *rng: function(x, 1 - p, *rng)


def in_meaning_of_p(report: Report, p_keeps: bool) -> Report:
    """Every formula in the p that the code turned out to have; what is said about p itself in the p that it must be."""
    exchanged = any(finding.mistake == "dropout_p_keeps" for finding in report.findings)
    findings = [
        in_terms_of_keeping(finding) if p_keeps != (exchanged and finding.mistake != "dropout_p_keeps") else finding
        for finding in report.findings
    ]
    return replace(report, findings=findings)


def in_terms_of_keeping(finding: Finding) -> Finding:
    def translated(text: str) -> str:
        return text.replace("(1 - p)", "p").replace(">= p", "< p")

    return finding.reworded(translated)


def scales_by(factor: float, test_forward: Callable[..., Any], x: Array, p: float) -> bool:
    """Whether test mode multiplies every unit by it."""
    try:
        out, _ = numbers("", call("", test_forward, x, p), x.shape)
    except Unusable:
        return False
    return out.shape == x.shape and bool(np.allclose(out, factor * x, rtol=1e-6, atol=0))


def at_test_time(test_forward: Callable[..., Any], x: Array, p: float) -> Report:
    """At test time dropout does nothing."""
    place, formula = "dropout test mode: out", "out = x"
    try:
        out, reshaped = numbers(place, call(place, test_forward, x, p), x.shape)
    except Unusable as unusable:
        return Report("dropout", [unusable.finding])
    if reshaped is not None:
        return Report("dropout", [reshaped])
    if out.shape == x.shape and np.allclose(out, x, rtol=1e-6, atol=0):
        return Report("dropout", agreeing=[place])
    sentence, mistake = "wrong, and none of the known mistakes explains the numbers", None
    if out.shape == x.shape and np.allclose(out, np.maximum(x, 0), rtol=1e-6, atol=0):
        sentence, mistake = "a ReLU stands there: negative inputs become 0 at test time", "dropout_relu_at_test_time"
    elif out.shape == x.shape and (out == 0).mean() > 0.01:
        sentence, mistake = "units are dropped at test time", "dropout_at_test_time"
    elif out.shape == x.shape and np.ptp(out / x) < 1e-6:
        sentence = "the output is scaled at test time; that is done in training, by 1 / (1 - p)"
        mistake = "dropout_scaled_at_test_time"
    return Report("dropout", [Finding(place, sentence, mistake, formula=formula, link=LINK)])
