"""What a version has to meet to be approved or promoted."""

from collections.abc import Mapping

from mlnb.errors import AccessDenied
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.verified_approvals import Authors
from mlnb.signing.trusted_keys import TrustedKey


def check_approver(
    version: ModelVersion, signer: TrustedKey, authors: Authors | None, documents: Mapping[str, str]
) -> None:
    """Raise `AccessDenied` when an approval signed by this key would not count.

    Args:
        version: What is to be approved.
        signer: The key of the approver.
        authors: Who registered the version or started its run; None: unknown.
        documents: Digests of the documents that the approval is about.
    """
    if authors is None or authors.include(signer.name, signer):
        raise AccessDenied(
            f"{signer.name} started the run of {version.name} or registered it; another person has to approve it."
            if authors
            else f"The audit log does not have the registration of {version.name}, so that its author is unknown."
        )
    if not documents:
        raise AccessDenied(
            f"{version.name} has no model card and technical documentation that an approval could be about: its run "
            f"{version.run} was deleted, or has no stage `document`."
        )


def unmet_requirements(version: ModelVersion, approved: int, needed: int) -> list[str]:
    """Return why a version is not to be promoted: gate, parity check, and number of people who approved it."""
    reasons = [] if version.metadata.gate else ["its gate has failed"]
    if not version.metadata.certificate.identical:
        reasons.append("its bento was not verified to respond as the notebook did")
    if approved < needed:
        command = f"`mlnb approve {version.name}`; `mlnb approvals` lists those that count"
        reasons.append(f"approved by {approved} of {needed} people: {command}")
    return reasons
