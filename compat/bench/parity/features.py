"""Levels of features raised and lowered: those that both brokers have, none of them for good."""

from .world import Ask, World

API = "UpdateFeatures"
UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE = 1, 2, 3
GROUPS, TRANSACTIONS = "group.version", "transaction.version"


def update(*updates: tuple[str, int, int], validate: bool = True):
    """Names, levels, and kinds of change."""

    def body(w: World, v: int) -> dict:
        named = []
        for name, level, kind in updates:
            each = {"feature": name, "maxVersionLevel": level}
            each |= {"upgradeType": kind} if v >= 1 else {"allowDowngrade": kind > 1}
            named.append(each)
        more = {"validateOnly": validate} if v >= 1 else {}
        return {"timeoutMs": 10_000, "featureUpdates": named, **more}

    return body


def asks() -> list[Ask]:
    # Version 0 cannot only validate: what would change something is not asked of it.
    kinds = [
        ("the level that holds", update((TRANSACTIONS, 2, UPGRADE)), None),
        ("the level that holds, for good", update((GROUPS, 1, UPGRADE), validate=False), None),
        ("the level that holds, lowered", update((GROUPS, 1, SAFE_DOWNGRADE)), None),
        ("two that hold", update((GROUPS, 1, UPGRADE), (TRANSACTIONS, 2, UPGRADE)), None),
        ("a level beyond all", update((TRANSACTIONS, 99, UPGRADE)), None),
        ("a level beyond all, lowered", update((TRANSACTIONS, 99, SAFE_DOWNGRADE)), None),
        ("a level below without a word", update((TRANSACTIONS, 1, UPGRADE)), None),
        ("a level below 0", update((TRANSACTIONS, -1, UPGRADE)), None),
        ("0 without a word", update((GROUPS, 0, UPGRADE)), None),
        ("an unknown feature", update(("nothing", 1, UPGRADE)), None),
        ("an unknown feature at 0", update(("nothing", 0, UNSAFE_DOWNGRADE)), None),
        ("no feature's name", update(("", 1, UPGRADE)), None),
        ("an unknown kind", update((GROUPS, 1, 9)), range(1, 3)),
        ("two of which one is wrong", update((GROUPS, 1, UPGRADE), ("nothing", 1, UPGRADE)), None),
        ("a feature twice", update((GROUPS, 1, UPGRADE), (GROUPS, 0, SAFE_DOWNGRADE)), None),
        ("nothing", update(), None),
        ("a level below", update((TRANSACTIONS, 1, SAFE_DOWNGRADE)), range(1, 3)),
        ("a level below, with losses", update((TRANSACTIONS, 0, UNSAFE_DOWNGRADE)), range(1, 3)),
    ]
    return [Ask(f"feature: {title}", API, body, versions) for title, body, versions in kinds]
