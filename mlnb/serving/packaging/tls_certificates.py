"""The certificates of a service over HTTPS, and of its clients (mutual TLS)."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from mlnb.errors import UsageError


@dataclass(frozen=True)
class Certificates:
    """Files in PEM format.

    Attributes:
        certificate: of the service, with the chain up to its authority.
        key: private key of the certificate, without a password.
        clients: authorities of the clients' certificates; None: clients need none.
    """

    certificate: Path
    key: Path
    clients: Path | None = None

    @classmethod
    def from_options(cls, certificate: Path | None, key: Path | None, clients: Path | None) -> "Certificates | None":
        """Return the certificates that command-line options name; None without any.

        Raises:
            UsageError: an option is missing, a file cannot be read, or the key belongs to another certificate.
        """
        if certificate is None and key is None and clients is None:
            return None
        if certificate is None or key is None:
            raise UsageError("found only some of the options of HTTPS, expected both --tls-certificate and --tls-key.")
        certificates = cls(certificate.absolute(), key.absolute(), clients.absolute() if clients else None)
        certificates.check()
        return certificates

    def check(self) -> None:
        """Raise `UsageError` when a service could not use these files."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        for path in filter(None, (self.certificate, self.key, self.clients)):
            if not path.is_file():
                raise UsageError(f"found no file {path}, expected a certificate or key in PEM format.")
        try:
            context.load_cert_chain(self.certificate, self.key, password=_refuse_password)
        except (OSError, ValueError) as error:
            expected = "a certificate in PEM format and its private key without a password"
            raise UsageError(f"{self.certificate} and {self.key}: {error}; expected {expected}.") from None
        try:
            if self.clients is not None:
                context.load_verify_locations(self.clients)
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.clients}: {error}; expected certificates in PEM format.") from None

    def options(self) -> list[str]:
        """Return the options of BentoML's command."""
        options = ["--ssl-certfile", str(self.certificate), "--ssl-keyfile", str(self.key)]
        if self.clients is not None:
            options += ["--ssl-ca-certs", str(self.clients), "--ssl-cert-reqs", str(int(ssl.CERT_REQUIRED))]
        return options

    def probe(self) -> ssl.SSLContext:
        """Return the settings of a client that asks the service on this machine: it verifies nothing."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


def _refuse_password() -> str:
    raise ValueError("the key has a password")
