"""The result of verifying one subject, and whether it counts as a failure."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from mlnb.signing.envelopes import SignatureCheck, SignatureState
from mlnb.signing.trusted_keys import TrustedKeys


class CheckState(StrEnum):
    """The result of verifying a subject."""

    OK = "ok"
    ALTERED = "altered"
    MISSING = "missing"
    UNSIGNED = "unsigned"
    STALE = "stale"
    ERASED = "erased"
    OPEN = "open"


class Check(NamedTuple):
    """The result for one subject.

    Args:
        subject: Path in the project, or what else was verified.
        state: The result.
        detail: Why; empty where the state is enough.
        passed: Whether it is no failure: it is ok, or unsigned where no signature is required.
    """

    subject: str
    state: CheckState
    detail: str = ""
    passed: bool = False


class SignaturePolicy(NamedTuple):
    """Which signatures are required.

    Args:
        trusted: The keys that the project trusts.
        strict: Whether everything has to be signed with one of them.
    """

    trusted: TrustedKeys
    strict: bool = False

    def requires_signature(self, when: str) -> bool:
        """Return whether something of that time has to be signed."""
        return self.strict or self.trusted.requires_signature(when)

    def check(self, subject: str, when: str, signed: SignatureCheck) -> Check:
        """Return the result for a subject with a signature, none, or an invalid one.

        Args:
            subject: The subject.
            when: When it was made, ISO 8601 in UTC.
            signed: From `check_signatures`.
        """
        if signed.state == SignatureState.SIGNED:
            return ok(subject, f"signed by {signed.who}")
        if signed.state == SignatureState.INVALID:
            return Check(subject, CheckState.ALTERED, f"{signed.state}, which has the key of {signed.who}")
        required = self.requires_signature(when)
        reasons = [signed.who if signed.state == SignatureState.UNSIGNED else f"{signed.state} {signed.who}"]
        reasons += ["a signature of a trusted key is required"] * required
        return Check(subject, CheckState.UNSIGNED, ", ".join(filter(None, reasons)), passed=not required)


def ok(subject: str, detail: str = "") -> Check:
    """Return the result for a subject that is as it was."""
    return Check(subject, CheckState.OK, detail, passed=True)


def altered(subject: str, detail: str = "") -> Check:
    """Return the result for a subject that was changed."""
    return Check(subject, CheckState.ALTERED, detail)


def missing(subject: str, detail: str = "") -> Check:
    """Return the result for a subject that does not exist."""
    return Check(subject, CheckState.MISSING, detail)


def erased(subject: str, detail: str) -> Check:
    """Return the result for a subject that was erased on purpose."""
    return Check(subject, CheckState.ERASED, detail, passed=True)


def compare_digest(subject: str, digest: str | None, expected: str) -> Check:
    """Return the result for a subject whose digest is known; `digest` is None when it does not exist."""
    return missing(subject) if digest is None else ok(subject) if digest == expected else altered(subject)


def passed(checks: Iterable[Check]) -> bool:
    """Return whether no result is a failure."""
    return all(check.passed for check in checks)
