"""How fast the population is made.

Belongs here: timing the makers, tables loaded beforehand. Does not belong here: speed of the product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sandbox.population.demographics import CHUNK, demographics, people
from sandbox.population.people import Population
from sandbox.population.rows import patient_rows
from sandbox.population.summaries import summary_rows

_ROWS = 65_536
_SUMMARIES = 25_000


def measures(patients: int, seed: int, clock: Callable[[], float]) -> Iterator[tuple[str, int, float]]:
    """(what, rows, seconds) for demographic columns, patient rows and summaries.

    Patient rows are made for a tenth of the people and summaries for a twentieth.
    """
    population = Population(seed)
    people(1_000, seed)
    start = clock()
    for begin in range(0, patients, CHUNK):
        demographics(population.people(begin, min(CHUNK, patients - begin)), population)
    yield "demographic columns", patients, clock() - start
    rows = max(patients // 10, 1_000)
    start = clock()
    for begin in range(0, rows, _ROWS):
        patient_rows(begin, min(_ROWS, rows - begin), population)
    yield "pds_patient row form", rows, clock() - start
    summary_rows(population.people(0, 100), population)
    rows, made = max(patients // 20, 1_000), 0
    start = clock()
    for begin in range(0, rows, _SUMMARIES):
        made += len(summary_rows(population.people(begin, min(_SUMMARIES, rows - begin)), population))
    yield "scr_summary row form", made, clock() - start
