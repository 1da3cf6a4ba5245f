"""How alike two spellings of a word are."""

from __future__ import annotations


def edits(first: str, second: str, *, most: int) -> int:
    """Letters put in, left out, mistaken or swapped with their neighbour between two words.

    The restricted Damerau-Levenshtein distance (optimal string alignment): Damerau 1964, "A technique for computer
    detection and correction of spelling errors"; no letter is edited twice.

    Args:
        first: A word.
        second: Another.
        most: Distance above which the exact number does not matter.

    Returns:
        The distance, or `most + 1` where it is larger than `most`.
    """
    if abs(len(first) - len(second)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(second) + 1))
    for row, letter in enumerate(first, start=1):
        now = [row]
        for column, other in enumerate(second, start=1):
            cost = min(last[column] + 1, now[-1] + 1, last[column - 1] + (letter != other))
            if row > 1 and column > 1 and letter == second[column - 2] and first[row - 2] == other:
                cost = min(cost, before[column - 2] + 1)
            now.append(cost)
        if min(now) > most and min(last) > most:  # a swap reaches back two rows, no edit further
            return most + 1
        before, last = last, now
    return min(last[-1], most + 1)


def similar(first: str, second: str, *, least: float) -> bool:
    """Whether two words differ in at most `1 - least` of the letters of the longer one.

    Args:
        first: A word, not empty.
        second: Another, not empty.
        least: Similarity that is enough, 0-1.
    """
    most = int((1.0 - least) * max(len(first), len(second)) + 1e-9)
    return first == second or (most > 0 and edits(first, second, most=most) <= most)
