"""Our clients, as `klamm` has them, at the doors of Apache Kafka: TLS, SASL, and sessions that end.

The broker under test has no part in it: it serves neither yet.
"""

import shutil
import subprocess
import time

from ..broker import Broker, klamm_binary
from ..paths import WORK
from ..secure import MECHANISMS, MODULE, PASSWORD, SESSION_MS, USER, Certificates, SecureKafka
from ..table import Table

CLIENT = "klamm"
RECORDS = 200
TIMEOUT_S = 30
# Long enough for a connection to authenticate anew twice.
LONG_S = 2.5 * SESSION_MS / 1_000

PLAIN = f'{MODULE}.plain.PlainLoginModule required username="{USER}" password="{PASSWORD}";'
SCRAM = PLAIN.replace("plain.PlainLogin", "scram.ScramLogin")
BEARER = (
    f"{MODULE}.oauthbearer.OAuthBearerLoginModule required "
    f'unsecuredLoginStringClaim_sub="{USER}";'
)


def run(broker: Broker, table: Table, quick: bool) -> None:
    folder = WORK / "security"
    shutil.rmtree(folder, ignore_errors=True)
    certificates = Certificates(folder)
    with SecureKafka(broker.schemas, WORK / "broker-secure", certificates) as kafka:
        Doors(kafka, certificates).check(table)


def user(mechanism: str, password: str = PASSWORD) -> dict[str, str]:
    """Settings by which a user is known."""
    if mechanism == "OAUTHBEARER":
        return {"sasl.mechanism": mechanism, "sasl.jaas.config": BEARER}
    return {"sasl.mechanism": mechanism, "sasl.username": USER, "sasl.password": password}


class Doors:
    """Who is let in, and what others are told."""

    def __init__(self, kafka: SecureKafka, certificates: Certificates):
        self.kafka, self.certificates = kafka, certificates
        self.binary = klamm_binary()
        self.trust = {"ssl.truststore.location": str(certificates.authority)}

    def check(self, table: Table) -> None:
        for listener, feature, settings in self.open():
            passes = lambda at=listener, given=settings: self.passes(at, given)
            table.check(CLIENT, f"lets in: {feature}", passes)
        for listener, feature, settings, told in self.closed():
            refused = lambda at=listener, given=settings, why=told: self.refused(at, given, why)
            table.check(CLIENT, f"tells: {feature}", refused)
        for mechanism in ("SCRAM-SHA-256", "OAUTHBEARER"):
            renews = lambda by=mechanism: self.renews(by)
            table.check(CLIENT, f"renews its session: {mechanism}", renews)

    def open(self) -> list[tuple[str, str, dict[str, str]]]:
        """Listener, what is tried, and the settings that open it."""
        tls, client = {"security.protocol": "SSL"} | self.trust, self.certificates.store("client")
        doors = [
            ("TLS", "TLS", tls),
            ("TLS", "TLS 1.2", tls | {"ssl.enabled.protocols": "TLSv1.2"}),
            ("MUTUAL", "a certificate", tls | {"ssl.keystore.location": str(client)}),
        ]
        for mechanism in MECHANISMS:
            clear = {"security.protocol": "SASL_PLAINTEXT"} | user(mechanism)
            secret = {"security.protocol": "SASL_SSL"} | user(mechanism) | self.trust
            doors += [("SASL", mechanism, clear), ("SASLTLS", f"{mechanism} by TLS", secret)]
        for mechanism, module in (("PLAIN", PLAIN), ("SCRAM-SHA-512", SCRAM)):
            given = {"sasl.mechanism": mechanism, "sasl.jaas.config": module}
            settings = {"security.protocol": "SASL_PLAINTEXT"} | given
            doors.append(("SASL", f"{mechanism} by sasl.jaas.config", settings))
        return doors

    def closed(self) -> list[tuple[str, str, dict[str, str], str]]:
        """Listener, what is tried, the settings, and what is told of it."""
        tls, sasl = {"security.protocol": "SSL"}, {"security.protocol": "SASL_PLAINTEXT"}
        stranger = {"ssl.truststore.location": str(self.certificates.stranger)}
        doors = [
            ("TLS", "an authority that is not known", tls | stranger, "signed by nobody"),
            ("MUTUAL", "no certificate", tls | self.trust, "`ssl.keystore.location`"),
            ("TLS", "no TLS where it is spoken", {}, "speaks TLS on this port"),
            ("SASL", "TLS where it is not spoken", tls | self.trust, "does not speak TLS"),
            ("SASL", "no SASL where it is wanted", {}, "if it wants SASL on this port"),
            (
                "SCRAMONLY",
                "a mechanism that is not offered",
                sasl | user("PLAIN"),
                "it offers SCRAM-SHA-",
            ),
        ]
        for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
            settings = sasl | user(mechanism, "wrong")
            told = f"{mechanism} authentication with localhost:"
            doors.append(("SASL", f"a wrong password, {mechanism}", settings, told))
        # {"alg":"none"}.{"sub":"ann","iat":1,"exp":1000}
        expired = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJpYXQiOjEsImV4cCI6MTAwMH0."
        token = {"sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.token": expired}
        return [*doors, ("SASL", "a token that expired", sasl | token, "the token expired")]

    def command(self, listener: str, settings: dict[str, str], *args: str) -> list[str]:
        given = [part for name, value in settings.items() for part in ("-X", f"{name}={value}")]
        return [str(self.binary), *args, "-b", self.kafka.at(listener), *given]

    def klamm(
        self, listener: str, settings: dict[str, str], *args: str, lines: str = ""
    ) -> subprocess.CompletedProcess:
        command = self.command(listener, settings, *args)
        return subprocess.run(
            command, input=lines, capture_output=True, text=True, timeout=TIMEOUT_S
        )

    def passes(self, listener: str, settings: dict[str, str]) -> None:
        """Records go in and come out, through the same door."""
        topic = f"security-{time.monotonic_ns()}"
        lines = "".join(f"{topic} {number}\n" for number in range(RECORDS))
        produced = self.klamm(listener, settings, "produce", topic, lines=lines)
        ended(produced)
        shape = ("-f", "%v\\n", "-n", str(RECORDS))
        consumed = self.klamm(listener, settings, "consume", topic, *shape)
        ended(consumed)
        same(sorted(consumed.stdout.splitlines()), sorted(lines.splitlines()))

    def refused(self, listener: str, settings: dict[str, str], told: str) -> None:
        asked = self.klamm(listener, settings, "topic", "list")
        if asked.returncode == 0 or told not in asked.stderr:
            raise AssertionError(f"exit {asked.returncode}, told {asked.stderr!r}")
        if PASSWORD in asked.stderr or "wrong" in asked.stderr:
            raise AssertionError("the password is told")

    def renews(self, mechanism: str) -> str:
        """Connections stay open beyond the end of their sessions. Nothing is tried again, so that
        one that the broker closes would be seen."""
        settings = {"security.protocol": "SASL_SSL"} | user(mechanism) | self.trust
        topic = f"security-{time.monotonic_ns()}"
        ended(self.klamm("SASLTLS", settings, "topic", "create", topic))
        once = settings | {"enable.idempotence": "false", "retries": "0", "linger.ms": "0"}
        writing = subprocess.Popen(
            self.command("SASLTLS", once, "produce", topic),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        until, sent = time.monotonic() + LONG_S, 0
        while time.monotonic() < until and writing.poll() is None:
            writing.stdin.write(f"{sent}\n")
            writing.stdin.flush()
            sent += 1
            time.sleep(0.02)
        _, told = writing.communicate(timeout=TIMEOUT_S)
        same((writing.returncode, told), (0, ""))
        shape = ("-f", "%v\\n", "-n", str(sent))
        consumed = self.klamm("SASLTLS", settings, "consume", topic, *shape)
        ended(consumed)
        same(consumed.stdout.splitlines(), [str(number) for number in range(sent)])
        return f"{sent} records in {LONG_S} s"


def ended(ran: subprocess.CompletedProcess) -> None:
    if ran.returncode != 0:
        raise AssertionError(f"exit {ran.returncode}: {ran.stderr}")


def same(found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{str(found)[:200]} instead of {str(expected)[:200]}")
