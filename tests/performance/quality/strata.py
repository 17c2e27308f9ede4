"""Which kinds of people are asked about, and how each is found in a population.

Belongs here: the strata as expressions over facts of people, and the mistakes each stratum is about. Does not
belong here: rows added where a population has too few (``seeded.py``), drawing and asking (``labelled.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from tests.performance.quality import seeded
from tests.performance.quality.seeded import Seeder

AGE_BANDS = ((2007, 2100, "0_18"), (1990, 2006, "19_35"), (1960, 1989, "36_65"), (1800, 1959, "66_up"))
SEXES = {"female": "women", "male": "men"}
ORDINARY = tuple(f"{sex}_{band}" for sex in SEXES.values() for _, _, band in AGE_BANDS)
_SOUTH_ASIAN = ("Begum", "Bibi", "Kaur", "Singh", "Khatun", "Akhtar", "Bi", "Khan", "Ahmed", "Ali", "Hussain", "Patel")
_CHINESE = (
    "Chan", "Wong", "Chen", "Li", "Wang", "Zhang", "Liu", "Cheung", "Lam", "Ng", "Yang", "Huang", "Wu", "Leung", "Ho", "Tang",
    "Lau", "Zhao", "Zhou", "Lin", "Yip", "Tsang", "Cheng", "Fung", "Xu", "Kwok", "Tse", "Yeung", "Au-Yeung",
)  # fmt: skip
_PLACEHOLDER = r"(?i)^(baby|infant|newborn|boy|girl|twin [a-z0-9]|b/o)\b"


@dataclass(frozen=True)
class Stratum:
    """``where``: who belongs to it. ``group``: of people alike in these columns one is asked about, the others stay.

    ``forced``: kinds of mistakes with the share of questions that get them, each besides the mix's own.
    """

    name: str
    meaning: str
    where: pl.Expr
    group: tuple[str, ...] = ()
    forced: Mapping[str, float] = field(default_factory=dict)
    seeder: Seeder | None = None


def facts(people: pl.DataFrame, superseding: frozenset[int]) -> pl.DataFrame:
    """One row for each unrestricted person with a whole birth date: what the strata look at.

    Columns: nhs_number, gender, birth_date, deceased, family, given (first), names (how many given), postcode,
    outcode, town, moved, renamed, superseding.
    """
    open_to_all = people.filter(pl.col("security").eq("U") & pl.col("birth_date").str.len_chars().ge(10))
    known = open_to_all.select("nhs_number", "gender", "birth_date", "deceased")
    usual, renamed = _names(open_to_all)
    homes, moved = _places(open_to_all)
    number = "nhs_number"
    told = known.join(usual, on=number).join(homes, on=number, how="left")
    return told.with_columns(
        pl.col(number).is_in(renamed).alias("renamed"),
        pl.col(number).is_in(moved).alias("moved"),
        pl.col(number).is_in(list(superseding)).alias("superseding"),
        pl.col("postcode").str.split(" ").list.first().alias("outcode"),
        pl.col("postcode").str.extract("^([A-Z]+)").alias("town"),
        pl.len().over("family", "given").alias("namesakes"),
    ).sort(number)


def _names(people: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """Current usual names, and who had another family name."""
    long = people.select("nhs_number", "names").explode("names").unnest("names")
    current = long.filter(pl.col("state").eq("current") & pl.col("use").eq("usual")).unique("nhs_number", keep="first")
    given = pl.col("given").list.first().alias("given")
    usual = current.select("nhs_number", "family", given, pl.col("given").list.len().fill_null(0).alias("words"))
    old = long.filter(pl.col("state").eq("historic")).select("nhs_number", pl.col("family").alias("old"))
    other = old.join(usual, on="nhs_number").filter(pl.col("old") != pl.col("family"))
    return usual, other["nhs_number"].unique()


def _places(people: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """Postcodes of homes, and who lived elsewhere before."""
    long = people.select("nhs_number", "addresses").explode("addresses").unnest("addresses")
    home = long.filter(
        pl.col("state").eq("current") & pl.col("use").eq("home") & ~pl.col("postcode").str.starts_with("ZZ99")
    )
    homes = home.unique("nhs_number", keep="first").select("nhs_number", "postcode")
    old = long.filter(pl.col("state").eq("historic") & pl.col("postcode").is_not_null())
    return homes, old["nhs_number"].unique()


_FAMILY, _GIVEN, _BORN, _HOME = pl.col("family"), pl.col("given"), pl.col("birth_date"), pl.col("postcode")
_DAY, _MONTH, _YEAR = (_BORN.str.slice(at, length) for at, length in ((8, 2), (5, 2), (0, 4)))
_NAMED = _FAMILY.is_not_null() & _GIVEN.is_not_null() & ~_GIVEN.str.contains(_PLACEHOLDER)
TWINS, NAMESAKES, LOOK_ALIKES = (
    ("postcode", "birth_date", "family"),
    ("postcode", "family", "given"),
    ("family", "given", "birth_date", "town"),
)
_YEAR_NUMBER = _YEAR.cast(pl.Int32, strict=False)
_YEARS_APART = (_YEAR_NUMBER.max() - _YEAR_NUMBER.min()).over(NAMESAKES)

# Whether chance gives somebody a look-alike goes with how many others have the full name: so look-alikes are made.
_BEARERS = pl.col("namesakes")

# The rarest first: whoever is taken for one stratum is not taken for another.
STRATA = (
    Stratum(
        "same_name_and_birth",
        "somebody else, elsewhere in one town (postcode area), has the same name and birth date",
        _NAMED & _HOME.is_not_null() & _HOME.n_unique().over(LOOK_ALIKES).gt(1),
        LOOK_ALIKES,
        seeder=Seeder(seeded.look_alike, _NAMED & _HOME.is_not_null() & _BEARERS.gt(1), _BEARERS - 1),
    ),
    Stratum(
        "father_and_son",
        "two men of one name at one address",
        _NAMED & _HOME.is_not_null() & pl.col("gender").eq("male") & pl.len().over(NAMESAKES).gt(1) & _YEARS_APART.ge(14),
        NAMESAKES,
        seeder=Seeder(seeded.son, _NAMED & _HOME.is_not_null() & pl.col("gender").eq("male") & _YEAR_NUMBER.is_between(1930, 1998)),
    ),
    Stratum(
        "twins",
        "twins at one address",
        _NAMED & _HOME.is_not_null() & pl.len().over(TWINS).gt(1) & _GIVEN.n_unique().over(TWINS).gt(1),
        TWINS,
        seeder=Seeder(seeded.twin, _NAMED & _HOME.is_not_null()),
    ),
    Stratum(
        "baby_of",
        "newborn with a placeholder for a given name, asked for with it or with the name given since",
        _GIVEN.str.contains(_PLACEHOLDER),
        forced={"named_since": 0.5},
        seeder=Seeder(seeded.baby, _NAMED & pl.col("gender").eq("female") & _YEAR_NUMBER.is_between(1985, 2005), new_is_asked=True),
    ),
    Stratum(
        "single_name",
        "one name only, held as family name",
        _GIVEN.is_null(),
        seeder=Seeder(seeded.single_name, _NAMED, new_is_asked=True),
    ),
    Stratum(
        "superseded",
        "a number replaced another; half ask with what the old record held",
        pl.col("superseding") & _NAMED,
        forced={"postcode_old": 0.35, "previous_family": 0.15},
    ),
    Stratum("chinese_order", "Chinese names, half of them asked family name first", _NAMED & _FAMILY.is_in(_CHINESE), forced={"names_swapped": 0.5}),
    Stratum(
        "south_asian",
        "Begum, Bibi, Kaur, Singh and the like; a fifth told with the family's name behind",
        _NAMED & _FAMILY.is_in(_SOUTH_ASIAN),
        forced={"religious_name_moved": 0.2},
    ),
    Stratum(
        "hyphenated",
        "double family names: as held, joined or split, or one half of it",
        _NAMED & _FAMILY.str.contains("-"),
        forced={"joined_or_split": 0.33, "double_name_part": 0.33},
    ),
    Stratum("accented", "letters beyond A to Z in a name", _NAMED & (_FAMILY.str.contains(r"[^\x00-\x7F]") | _GIVEN.str.contains(r"[^\x00-\x7F]"))),
    Stratum("prefixed", "Mc, O', De, Van, El- and the like", _NAMED & _FAMILY.str.contains(r"^(Mc|Mac[A-Z]|O'|De |Di |Da |Van |Von |El-|Al-|Abu |Ben )")),
    Stratum("common_name", "at least two in 100,000 people have this full name", _NAMED & (_BEARERS * 50_000).ge(pl.len())),
    Stratum("married_name", "had another family name: mostly asked with that, or with one not held", _NAMED & pl.col("renamed"), forced={"previous_family": 0.6, "new_family": 0.2}),
    Stratum("january_first", "born on 1 January, as the record has it", _NAMED & _BORN.str.ends_with("-01-01")),
    Stratum("moved_house", "asked with an old address, or with one not held", _NAMED & _HOME.is_not_null() & pl.col("moved"), forced={"postcode_old": 0.5, "moved_house": 0.5}),
    Stratum("day_month", "day and month of birth exchanged", _NAMED & _DAY.le("12") & _DAY.ne(_MONTH), forced={"day_month_swapped": 1.0}),
    Stratum("dead", "has died", _NAMED & pl.col("deceased").is_not_null()),
)  # fmt: skip

# Against nature, so in a set of its own: for a rare name nobody but a forger or a double registration does this.
COPIES = Stratum(
    "copied",
    "a made-up person of the same town has the same name and birth date, however rare the name",
    pl.lit(value=False),
    seeder=Seeder(seeded.look_alike, _NAMED & _HOME.is_not_null()),
)


def ordinary_name(gender: str | None, birth_date: str) -> str:
    """The stratum of somebody who was drawn from everybody."""
    year = int(birth_date[:4])
    band = next(name for low, high, name in AGE_BANDS if low <= year <= high)
    return f"{SEXES[gender or '']}_{band}"


def ordinary() -> pl.Expr:
    """Everybody with a name, a sex and a whole birth date."""
    return _NAMED & pl.col("gender").is_in(list(SEXES))
