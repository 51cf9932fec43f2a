"""Apache Kafka with every way of letting clients in, and the certificates and users for that."""

import subprocess
from pathlib import Path

from .broker import Kafka, free_port
from .schema import Schemas

USER, PASSWORD = "ann", "it's; a=secret"
# Sessions end, so that long connections must authenticate anew (KIP-368).
SESSION_MS = 3_000

MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
MODULE = "org.apache.kafka.common.security"
MODULES = {
    "plain": f'{MODULE}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
    "scram-sha-256": f"{MODULE}.scram.ScramLoginModule required;",
    "scram-sha-512": f"{MODULE}.scram.ScramLoginModule required;",
    "oauthbearer": f"{MODULE}.oauthbearer.OAuthBearerLoginModule required "
    'unsecuredLoginStringClaim_sub="broker";',
}
# By the name of the listener, what is spoken there.
LISTENERS = {
    "TLS": "SSL",
    "MUTUAL": "SSL",
    "SASL": "SASL_PLAINTEXT",
    "SASLTLS": "SASL_SSL",
    "SCRAMONLY": "SASL_PLAINTEXT",
}


class Certificates:
    """An authority, what it has signed for broker and client, and an authority nobody knows."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "request.cnf").write_text("[req]\ndistinguished_name=dn\n[dn]\n")
        self.authority = self.sign("authority", "basicConstraints=critical,CA:TRUE")
        self.stranger = self.sign("stranger", "basicConstraints=critical,CA:TRUE")
        by = ("-CA", self.authority, "-CAkey", folder / "authority.key")
        self.broker = self.sign("broker", "subjectAltName=DNS:localhost", *by)
        self.client = self.sign("client", "subjectAltName=DNS:client", *by)
        for name in ("broker", "client"):
            key, chain = (folder / f"{name}.key").read_text(), (folder / f"{name}.pem").read_text()
            (folder / f"{name}-store.pem").write_text(key + chain)

    def sign(self, name: str, extension: str, *by: object) -> Path:
        """By itself, if not `by` another."""
        made = self.folder / f"{name}.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        command += ["-config", self.folder / "request.cnf", "-subj", f"/CN={name}"]
        command += ["-addext", extension, "-keyout", self.folder / f"{name}.key", "-out", made]
        subprocess.run([str(part) for part in (*command, *by)], check=True, capture_output=True)
        return made

    def store(self, name: str) -> Path:
        """Key and certificate in one file."""
        return self.folder / f"{name}-store.pem"


class SecureKafka(Kafka):
    """One node with a listener for each way in, beside the open one that the bench asks."""

    def __init__(self, schemas: Schemas, folder: Path, certificates: Certificates):
        self.ports = {name: free_port() for name in LISTENERS}
        store, trusted = certificates.store("broker"), certificates.authority
        settings = [
            "ssl.keystore.type=PEM",
            f"ssl.keystore.location={store}",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={trusted}",
            "listener.name.mutual.ssl.client.auth=required",
            f"connections.max.reauth.ms={SESSION_MS}",
            # In a properties file a backslash and what begins a comment would need one before.
            "sasl.enabled.mechanisms=" + ",".join(MECHANISMS),
            "listener.name.scramonly.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512",
        ]
        for name in ("sasl", "sasltls", "scramonly"):
            for mechanism, module in MODULES.items():
                settings.append(f"listener.name.{name}.{mechanism}.sasl.jaas.config={module}")
        super().__init__(schemas, folder, tuple(settings))

    def listeners(self) -> dict[str, tuple[str, int]]:
        return {name: (LISTENERS[name], port) for name, port in self.ports.items()}

    def format_options(self) -> list[str]:
        users = []
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            users += ["--add-scram", f'{mechanism}=[name={USER},password="{PASSWORD}"]']
        return users

    def at(self, listener: str) -> str:
        return f"localhost:{self.ports[listener]}"
