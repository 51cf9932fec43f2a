"""The client × feature table, and the tally under it."""

from dataclasses import dataclass, field

OK, FAIL, NOT_APPLICABLE = "ok", "FAIL", "n.a."


@dataclass
class Result:
    """How one feature fared with one client."""

    client: str
    feature: str
    status: str
    detail: str = ""


@dataclass
class Table:
    """All results, in the order in which they came."""

    results: list[Result] = field(default_factory=list)

    def add(self, client: str, feature: str, status: str, detail: str = "") -> None:
        self.results.append(Result(client, feature, status, detail))
        mark = f"  {client}: {feature}: {status}"
        print(mark + (f" ({detail})" if detail else ""), flush=True)

    def check(self, client: str, feature: str, action) -> None:
        """Runs `action`, which raises when the feature does not work."""
        try:
            self.add(client, feature, OK, action() or "")
        except Exception as error:  # A failing feature must not hide the others.
            self.add(client, feature, FAIL, first_line(error))

    def count(self, status: str) -> int:
        return sum(result.status == status for result in self.results)

    def render(self) -> str:
        """Features down, clients across."""
        clients = list(dict.fromkeys(result.client for result in self.results))
        features = list(dict.fromkeys(result.feature for result in self.results))
        cells = {(result.feature, result.client): result.status for result in self.results}
        rows = [["feature", *clients]]
        rows += [
            [feature, *(cells.get((feature, c), "-") for c in clients)] for feature in features
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])

    def report(self) -> int:
        """Prints the table, what failed and why, and the tally on a line of its own."""
        print("\n" + self.render() + "\n")
        for result in self.results:
            if result.status != OK and result.detail:
                print(f"{result.status}  {result.client}: {result.feature}: {result.detail}")
        failed = self.count(FAIL)
        print(f"{self.count(OK)} passed, {failed} failed")
        return 1 if failed else 0


def first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
