"""What a cell is measured with. Every tool answers with figures by the load generator's names."""

import json
import os
import re
import time
from dataclasses import dataclass

from bench.paths import JARS
from bench.toolshell import TOOLS

from .contestants import JVM
from .session import Refused, Session, cpu_s, output

# What `kafka-run-class.sh` gives a tool.
TOOL_JVM = ("java", "-Xmx512M", *JVM, "-cp", f"{JARS}/*")
RECORD_BYTES = 1024
GIB = 1 << 30
# A tool that counts records may take long to a slow device.
PATIENCE_S = 150
MIB = 1 << 20


def own_topic(cell: str) -> str:
    return "versus-" + re.sub(r"[^\w.-]", "-", cell)


@dataclass(frozen=True)
class Load:
    """A mode of the load generator, on a topic of its own. `scale` is of the cell's length;
    `{folder}` in an argument is where the contestant's files are, `{fill_mib}` what may be filled
    in before."""

    mode: str
    args: tuple[str, ...] = ()
    scale: float = 1.0
    warm_up_s: float = 0.5
    apart = False

    def cost_s(self, seconds: float) -> float:
        return seconds * self.scale + self.warm_up_s + 1

    def topic(self, cell: str) -> str | None:
        return own_topic(cell)

    def measure(self, session: Session, cell: str) -> dict:
        places = {"folder": session.broker.folder, "fill_mib": session.fill_mib}
        given = [arg.format(**places) for arg in self.args]
        return session.load(self.mode, own_topic(cell), *given, *self.span(session))

    def span(self, session: Session) -> tuple[str, ...]:
        return ("--seconds", f"{session.seconds * self.scale:g}", "--warmup", f"{self.warm_up_s:g}")


@dataclass(frozen=True)
class Read(Load):
    """A mode that reads what is there: the topic that all such cells share."""

    warmed: bool = True

    def cost_s(self, seconds: float) -> float:
        return super().cost_s(seconds) if self.warmed else 3

    def topic(self, cell: str) -> str | None:
        return None

    def measure(self, session: Session, cell: str) -> dict:
        span = self.span(session) if self.warmed else self.span(session)[:2]
        figures = session.load(self.mode, session.topic_to_read(), *self.args, *span)
        # librdkafka takes half a second before it fetches: what comes after is meant.
        return {**figures, "mb_per_s": figures.get("steady_mb_per_s", figures["mb_per_s"])}


@dataclass(frozen=True)
class Hold(Load):
    """A mode that opens connections and waits."""

    def topic(self, cell: str) -> str | None:
        return None

    def measure(self, session: Session, cell: str) -> dict:
        return session.load(self.mode, None, *self.args, "--hold", f"{session.seconds:g}")


@dataclass(frozen=True)
class OurBench:
    """`klamm bench`, which uses our own client."""

    mode: str
    args: tuple[str, ...]
    apart = False

    def cost_s(self, seconds: float) -> float:
        return seconds + 0.5

    def topic(self, cell: str) -> str | None:
        return own_topic(cell)

    def measure(self, session: Session, cell: str) -> dict:
        # It takes whole seconds.
        seconds = ("--seconds", str(max(round(session.seconds), 1)), "-X", "linger.ms=0")
        said = session.klamm("bench", self.mode, own_topic(cell), *self.args, *seconds)
        told = json.loads(said.splitlines()[-1])
        times = {f"e2e_{name}_us": ms * 1000 for name, ms in told["latency_ms"].items()}
        return {"records_per_s": told["records_per_second"], **times}


@dataclass(frozen=True)
class PerfProducer:
    """`kafka-producer-perf-test`, in a JVM of its own as users start it."""

    share: float = 1.0
    apart = False

    def cost_s(self, seconds: float) -> float:
        return 6

    def topic(self, cell: str) -> str | None:
        return own_topic(cell)

    def measure(self, session: Session, cell: str) -> dict:
        address = session.broker.address
        records = int(session.records * self.share)
        spent = Spent(session)
        said = output([
            *(*TOOL_JVM, TOOLS["kafka-producer-perf-test"], "--topic", own_topic(cell)),
            *("--num-records", str(records), "--record-size", str(RECORD_BYTES)),
            *("--throughput", "-1", "--bootstrap-server", address),
            *("--warmup-records", str(records // 4)),
        ], PATIENCE_S)  # fmt: skip
        line = said.strip().splitlines()[-1]
        number = r"([\d.]+)"
        pattern = (
            rf"\d+ steady state records sent, {number} records/sec \({number} MB/sec\), "
            rf"{number} ms avg latency, {number} ms max latency, {number} ms 50th, "
            rf"{number} ms 95th, {number} ms 99th"
        )
        found = re.match(pattern, line)
        if not found:
            raise Refused(f"the tool said: {line[:150]}")
        rate, mib, _, _, p50, _, p99 = (float(text) for text in found.groups())
        return {
            "records_per_s": rate,
            "mb_per_s": mib * MIB / 1e6,
            "ack_p50_us": p50 * 1000,
            "ack_p99_us": p99 * 1000,
            **spent.figures(records * RECORD_BYTES),
        }


@dataclass(frozen=True)
class PerfConsumer:
    """`kafka-consumer-perf-test`, likewise."""

    apart = False

    def cost_s(self, seconds: float) -> float:
        return 6

    def topic(self, cell: str) -> str | None:
        return None

    def measure(self, session: Session, cell: str) -> dict:
        topic = session.topic_to_read()
        spent = Spent(session)
        said = output([
            *(*TOOL_JVM, TOOLS["kafka-consumer-perf-test"], "--topic", topic),
            *("--num-records", str(session.records), "--timeout", "20000"),
            *("--bootstrap-server", session.broker.address),
        ])  # fmt: skip
        lines = [line.split(", ") for line in said.strip().splitlines()]
        if len(lines) < 2 or len(lines[-1]) != len(lines[0]):
            raise Refused(f"the tool said: {said.strip().splitlines()[-1][:150]}")
        figures = dict(zip(lines[0], lines[-1], strict=True))
        read_bytes = float(figures["data.consumed.in.MB"]) * MIB
        if read_bytes == 0:
            raise Refused("the tool read nothing")
        return {
            "records_per_s": float(figures["nMsg.sec"]),
            "mb_per_s": float(figures["MB.sec"]) * MIB / 1e6,
            "fetch_mb_per_s": float(figures["fetch.MB.sec"]) * MIB / 1e6,
            **spent.figures(read_bytes),
        }


def children_cpu_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


class Spent:
    """Who spends how much CPU while a tool runs."""

    def __init__(self, session: Session):
        self.session = session
        self.begun = time.monotonic()
        self.broker, self.client = cpu_s(session.pid), children_cpu_s()

    def figures(self, volume: float) -> dict:
        seconds = time.monotonic() - self.begun
        broker, client = cpu_s(self.session.pid) - self.broker, children_cpu_s() - self.client
        return {
            "broker_cpu_s": broker,
            "broker_cpu_s_per_gib": broker / (volume / GIB),
            "client_cpu_s": client,
            "client_cpu_s_per_gib": client / (volume / GIB),
            # With the start of its JVM.
            "client_busy_cores": client / seconds,
        }
