"""Reports about a network in CS231n's words: W1, b1, gamma1 and beta1, scores, reg, and W of shape (in, out)."""

import re
from dataclasses import replace

from manual_mlp.adapters.cs231n_instances import their_key
from manual_mlp.diagnosis.report import Report

OURS = re.compile(r"\b(?:linear|bn)\d+\.(?:weight|bias)\b")
TRANSPOSED = [
    (r"x Wᵀ", "x W"),
    (r"doutᵀ x\b", "xᵀ dout"),
    (r"dout W\b(?!ᵀ)", "dout Wᵀ"),
    (r"\b(d?)logits\b", r"\1scores"),
]
STRENGTH = {  # how many times l2 the penalty's strength is: reg sum(W^2), or 0.5 reg sum(W^2)
    1: [(r"\bl2\b", "reg")],
    2: [(r"\b2 l2\b", "reg"), (r"\bl2/2 Σ", "0.25 reg Σ"), (r"\bl2 Σ", "0.5 reg Σ"), (r"\bl2\b", "reg")],
}


def in_their_words(report: Report, factor: int = 1) -> Report:
    def said(text: str) -> str:
        text = OURS.sub(lambda found: their_key(found.group()), text)
        for ours, theirs in TRANSPOSED + STRENGTH[factor]:
            text = re.sub(ours, theirs, text)
        return text

    findings = [finding.reworded(said) for finding in report.findings]
    agreeing, unjudged, notes = (list(map(said, texts)) for texts in (report.agreeing, report.unjudged, report.notes))
    return replace(report, findings=findings, agreeing=agreeing, unjudged=unjudged, notes=notes)
