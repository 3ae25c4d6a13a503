"""Gradients that were seen, beside the reference's."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from manual_mlp.adapters.parts import Network
from manual_mlp.adapters.reading import undecided
from manual_mlp.adapters.seen_steps import Seen
from manual_mlp.adapters.slopes import slopes
from manual_mlp.diagnosis import diagnose
from manual_mlp.diagnosis.precision import SINGLE
from manual_mlp.diagnosis.report import Report
from manual_mlp.layers import Array

SLIGHT = 1e-5  # of a gradient's largest entry; a mistake takes more off


def judged_gradients(network: Network, question: Seen, gradients: Mapping[str, Array]) -> Report:
    """Where batches are normalized without gamma and beta, of the rest."""
    answer: tuple[Any, Mapping[str, Array]] = (None, gradients)
    tolerance = SINGLE if question.single else None
    asked = partial(diagnose, answer, *question.given[:4], relu_slope=slopes(network.program), tolerance=tolerance)
    first: Report | None = None
    for eps in (None, *question.eps):  # batch normalization's, perhaps, where it is none of the usual ones
        for relu_first in (False, True):
            report = asked(relu_first=relu_first, eps=eps)
            findings = [
                f for f in report.findings if f.place != "cost" and (question.how.affine or f.place in gradients)
            ]
            report = replace(report, findings=findings)
            if not any(finding.mistake == "bn_after_relu" for finding in report.findings):
                break
        if report.ok:
            return report
        first = first or report
    assert first is not None
    return first


def clips(network: Network) -> bool:
    return "clip" in network.program.text


def agreed(reports: Sequence[Report], clips: bool) -> Report:
    """What the steps say alike. Where the last layer's gradients are not understood it may be another loss; those that
    are clipped are not looked at any further, nor is what is next to nothing: another eps, perhaps.
    """
    names = [{finding.mistake for finding in report.findings} for report in reports]
    nameless = None in names[0]
    if len(set(map(frozenset, names))) > 1:
        raise undecided("its gradients", "at an early step and at a later one are not wrong in the same way")
    if nameless and all(finding.residual < SLIGHT for finding in reports[0].findings):
        raise undecided("its gradients", "are right but for next to nothing")
    if nameless and clips:
        raise undecided("its gradients", "are clipped")
    if nameless and not reports[0].agreeing:
        raise undecided("its gradients", "are those of no loss that is known here")
    return reports[0]
