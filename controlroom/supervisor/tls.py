"""`run --tls`: a certificate authority of this data directory, and a server certificate for the names it is reached by.

``secrets/tls`` (0700): ``authority.key`` and ``server.key`` (0600), ``authority.crt`` to be trusted by browsers,
``server.crt``. The authority's key never leaves the folder.
"""

import datetime as dt
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from audit.files import make_private, write_file
from controlroom.supervisor.errors import BadInputError
from events.paths import DataPaths

AUTHORITY_LIFE, SERVER_LIFE = dt.timedelta(days=3650), dt.timedelta(days=397)
RENEW = dt.timedelta(days=30)  # before its end
EARLIER = dt.timedelta(hours=1)  # a browser's clock may be behind
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Tls:
    """Files for the server, and what a person must trust."""

    certificate: Path
    key: Path
    authority: Path
    names: tuple[str, ...]
    fingerprint: str  # SHA-256 of the authority's certificate

    def trust(self) -> str:
        """Return how to trust the authority, in one line."""
        return f"TLS: trust {self.authority} once in each browser or system (SHA-256 {self.fingerprint})"


def names_of(host: str, further: Sequence[str] = ()) -> tuple[str, ...]:
    """Return every name and address under which the station is reached: the host's own, loopback and those given."""
    found = [*LOOPBACK, socket.gethostname()]
    try:
        if ipaddress.ip_address(host).is_unspecified:
            addresses = [one for each in psutil.net_if_addrs().values() for one in each]
            families = {socket.AF_INET, socket.AF_INET6}
            found += [one.address.partition("%")[0] for one in addresses if one.family in families]
        else:
            found.append(host)
    except ValueError:
        found.append(host)
    return tuple(dict.fromkeys(name.lower() for name in (*found, *further) if name))


def prepare(paths: DataPaths, host: str, further: Sequence[str] = (), now: dt.datetime | None = None) -> Tls:
    """Make what is missing, and the server's certificate anew where it ends soon or lacks a name.

    Raises
    ------
    BadInputError
        if the folder cannot be used, or a file in it is damaged.
    """
    folder, names = paths.secrets / "tls", names_of(host, further)
    now = now or dt.datetime.now(dt.UTC)
    try:
        make_private(paths.secrets)
        make_private(folder)
        authority, authority_key = _authority(folder, now)
        _server(folder, authority, authority_key, names, now)
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"{folder} cannot be used ({error}); move it away, and the next start makes another authority"
        ) from error
    return Tls(
        certificate=folder / "server.crt", key=folder / "server.key", authority=folder / "authority.crt", names=names,
        fingerprint=authority.fingerprint(hashes.SHA256()).hex(":"),
    )  # fmt: skip


def _authority(folder: Path, now: dt.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate, key = folder / "authority.crt", folder / "authority.key"
    if certificate.exists() and key.exists():
        held = x509.load_pem_x509_certificate(certificate.read_bytes())
        if held.not_valid_after_utc > now + SERVER_LIFE:
            return held, _key(key)
    made = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"AI Trading Station of {socket.gethostname()}"[:64])])
    built = (
        _builder(name, name, made.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(made, hashes.SHA256())
    )
    write_file(key, _pem(made))
    write_file(certificate, built.public_bytes(serialization.Encoding.PEM), mode=0o644)
    return built, made


def _server(
    folder: Path,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    names: Sequence[str],
    now: dt.datetime,
) -> None:
    certificate, key = folder / "server.crt", folder / "server.key"
    if certificate.exists() and key.exists():
        held = x509.load_pem_x509_certificate(certificate.read_bytes())
        signed = held.issuer == authority.subject and _signed_by(held, authority)
        if signed and held.not_valid_after_utc > now + RENEW and set(names) <= set(_names_in(held)):
            return
    made = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "AI Trading Station")])
    built = (
        _builder(subject, authority.subject, made.public_key(), now, SERVER_LIFE)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    write_file(key, _pem(made))
    write_file(certificate, built.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: dt.datetime,
    life: dt.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _signed_by(held: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        held.verify_directly_issued_by(authority)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is made anew
        return False
    return True


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names_in(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(one.value) for one in found]


def _key(file: Path) -> ec.EllipticCurvePrivateKey:
    if file.stat().st_mode & 0o077:
        raise ValueError(f"{file.name} may be read by others; chmod 600 it")
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{file.name} is no key of ours")  # noqa: TRY004 - one kind of refusal for a damaged folder
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
