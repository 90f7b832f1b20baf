"""nginx with the files of deploy/nginx, on a free port, with a certificate of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fakes.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "deploy" / "nginx"
PUBLIC, CONSOLE = "planton.exemple.fr", "console.exemple.fr"
MAIN = """
daemon off;
pid {here}/nginx.pid;
error_log {here}/error.log notice;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
    include {here}/planton-http.conf;
    include {here}/planton-webhook.conf;
    include {here}/planton-console.conf;
}}
"""


class _Here(AbstractResolver):
    """Every name leads to this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The loopback address."""
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Nginx:
    """A running one."""

    program: str
    here: Path
    port: int
    plain: int  # the port without TLS

    def url(self, site: str) -> str:
        """The address of a site."""
        return f"https://{site}:{self.port}"

    def trust(self, site: str) -> ssl.SSLContext:
        """A client's context that trusts the site's certificate."""
        return ssl.create_default_context(cafile=str(self.here / "live" / site / "fullchain.pem"))

    def client(self, site: str) -> aiohttp.ClientSession:
        """Somebody for whom the site's name leads here."""
        connector = aiohttp.TCPConnector(ssl=self.trust(site), resolver=_Here())
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True))

    def checked(self) -> subprocess.CompletedProcess[str]:
        """`nginx -t`."""
        return subprocess.run(self._command("-t"), capture_output=True, text=True, timeout=30)

    def logs(self) -> str:
        """Everything that it wrote into its logs."""
        return "".join(path.read_text(encoding="utf-8") for path in self.here.glob("*.log"))

    def kept(self) -> list[Path]:
        """Bodies and answers that it keeps in files."""
        return [path for name in ("body", "proxy") for path in (self.here / name).rglob("*") if path.is_file()]

    def _command(self, *words: str) -> list[str]:
        return [self.program, "-p", str(self.here), "-c", str(self.here / "nginx.conf"), "-e", "stderr", *words]

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Until it listens; ends it."""
        process = subprocess.Popen(self._command(), stderr=(self.here / "start.log").open("wb"))
        try:
            deadline = time.monotonic() + 60
            while not (self.here / "nginx.pid").exists() or not (self.here / "nginx.pid").read_text():
                assert process.poll() is None, self.logs()
                assert time.monotonic() < deadline, self.logs()
                time.sleep(0.02)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def program() -> str:
    """nginx's path; installs it as root. Fails with one line where that is not possible."""
    found = subprocess.run(["sh", "scripts/nginx.sh"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr.strip()
    return found.stdout.strip()


def prepared(here: Path, gateways: Sequence[int], console: int) -> Nginx:
    """The files as an operator would change them: ports of the upstreams, places of certificates and logs.

    The second gateway's line is the one that stands there as a remark.
    """
    port, plain = free_port(), free_port()
    for name in (PUBLIC, CONSOLE):
        _certify(here / "live" / name)
    for path in FILES.iterdir():
        text = path.read_text(encoding="utf-8")
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{gateways[0]}").replace(
            "127.0.0.1:8090", f"127.0.0.1:{console}"
        )
        if len(gateways) > 1:
            text = text.replace("# server 10.0.0.12:8080", f"server 127.0.0.1:{gateways[1]}")
        text = text.replace("/etc/letsencrypt/live", f"{here}/live").replace("/var/log/nginx", str(here))
        text = text.replace(".error.log crit", ".error.log warn")  # so that a test can see what it warns of
        text = re.sub(r"/etc/nginx/planton/(tls|proxy)\.conf", rf"{here}/planton-\1.conf", text)
        text = re.sub(r"^ *listen \[::\].*\n", "", text, flags=re.M)  # a machine of tests may be without IPv6
        text = text.replace("listen 443 ", f"listen 127.0.0.1:{port} ").replace(
            "listen 80;", f"listen 127.0.0.1:{plain};"
        )
        (here / path.name).write_text(text, encoding="utf-8")
    (here / "nginx.conf").write_text(MAIN.format(here=here), encoding="utf-8")
    (here / "start.log").touch()
    # As root it hands requests to a process without privileges, which must reach what it opens.
    for folder in (here, *here.parents):
        if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o111)
    return Nginx(program(), here, port, plain)


def _certify(folder: Path) -> None:
    folder.mkdir(parents=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, folder.name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(PUBLIC), x509.DNSName(CONSOLE)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "privkey.pem").write_bytes(key.private_bytes(*private))
