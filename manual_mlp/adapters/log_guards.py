"""A small number inside the logarithm, against a probability of 0: where no usual cost tells it, it is a remark."""

from dataclasses import replace

from manual_mlp.diagnosis.report import Report

GUARDS = ("eps_in_log", "log_clipped")
UNNOTICED = 1e-6  # of the cost, where such a guard is small enough


def has_guard(report: Report) -> bool:
    return any(finding.mistake in GUARDS for finding in report.findings)


def as_remark(report: Report, off: float) -> Report:
    """off: how far the guard moves a usual cost, relative to it."""
    if off >= UNNOTICED:
        return report
    findings = [replace(f, remark=f.remark or f.mistake in GUARDS) for f in report.findings]
    return replace(report, findings=sorted(findings, key=lambda finding: finding.remark))
