"""Communities: the label that ties together name, area, language and birth place.

Belongs here: shares, where each community lives, how its families are named.
Does not belong here: the names themselves (``given_names.csv``, ``family_names.csv``).
Shares are rounded from the Census 2021 of England and Wales (ethnic group, religion, country of
birth); the split of the British by nation of origin and all concentrations are assumptions.
Without such a label names would not go together and hard cases would be understated
(reference/anchors.md 7.4 item 3).
"""

from __future__ import annotations

from dataclasses import dataclass

# Local authorities by what they are used for below; ONS codes.
_MUSLIM = ("E08000032", "E08000025", "E09000030", "E09000025", "E06000032", "E06000008", "E08000004", "E08000034")
_HINDU = ("E06000016", "E09000015", "E09000005", "E09000026", "E09000003")
_SIKH = ("E09000009", "E09000018", "E06000039", "E08000028", "E08000031", "E08000026", "E09000017")
_CHINESE = ("E08000003", "E09000007", "E09000033", "E08000012", "E08000025", "E09000003")
_AFRICAN = ("E09000028", "E09000022", "E09000011", "E09000002", "E08000003", "E08000025", "E09000010", "E08000039")
_EASTERN = ("E06000031", "E07000136", "E09000009", "E06000018", "E09000014", "E06000038", "E06000042", "E09000031")
_CARIBBEAN = ("E09000023", "E09000022", "E09000012", "E09000008", "E08000025", "E06000023")
_ARABIC = ("E09000033", "E09000020", "E09000005", "E08000025", "E08000003", "E09000010")
_SOUTHERN = ("E09000022", "E09000020", "E09000013", "E09000005", "E09000014")
_IRISH = ("E08000012", "E08000003", "E08000025", "E09000005", "E09000007", "E08000026")


@dataclass(frozen=True)
class Community:
    """One community. ``gathered`` is the share living in ``areas``; the rest is spread evenly.

    ``british_given`` is the share with a given name from the British lists; ``takes_name`` the
    share of partners who take the household's family name; ``abroad`` marks communities where
    many births were not registered to the day.
    """

    name: str
    share: float
    areas: tuple[str, ...] = ()
    gathered: float = 0.0
    british_given: float = 0.0
    takes_name: float = 0.75
    middle_names: float = 1.0
    abroad: bool = False
    named_by_sex: bool = False
    languages: tuple[str, ...] = ()
    births: tuple[tuple[str, str], ...] = ()


COMMUNITIES = (
    Community("british", 0.736),
    Community("irish", 0.028, _IRISH, 0.35, british_given=0.55, births=(("Dublin", "IRL"), ("Cork", "IRL"))),
    Community("scottish", 0.026, british_given=0.45, births=(("Glasgow", "GBR"), ("Dundee", "GBR"))),
    Community("welsh", 0.026, british_given=0.55, births=(("Swansea", "GBR"), ("Wrexham", "GBR"))),
    Community("muslim", 0.050, _MUSLIM, 0.65, 0.02, 0.2, 0.25, True, True, ("ur", "bn", "pa"), (("Mirpur", "PAK"), ("Sylhet", "BGD"))),
    Community("hindu", 0.024, _HINDU, 0.6, 0.05, 0.8, 0.6, False, False, ("gu", "hi", "ta"), (("Rajkot", "IND"), ("Nairobi", "KEN"))),
    Community("sikh", 0.010, _SIKH, 0.65, 0.05, 0.2, 0.3, False, True, ("pa",), (("Jalandhar", "IND"), ("Ludhiana", "IND"))),
    Community("chinese", 0.008, _CHINESE, 0.35, 0.4, 0.1, 0.1, False, False, ("zh",), (("Hong Kong", "HKG"), ("Xiamen", "CHN"))),
    Community("african", 0.026, _AFRICAN, 0.5, 0.3, 0.6, 0.9, True, False, ("yo", "so", "sw"), (("Lagos", "NGA"), ("Accra", "GHA"))),
    Community("eastern", 0.030, _EASTERN, 0.3, 0.08, 0.8, 0.5, False, False, ("pl", "ro", "lt"), (("Łódź", "POL"), ("Iași", "ROU"))),
    Community("caribbean", 0.012, _CARIBBEAN, 0.5, 0.75, 0.6, births=(("Kingston", "JAM"), ("Bridgetown", "BRB"))),
    Community("arabic", 0.012, _ARABIC, 0.45, 0.03, 0.25, 0.4, True, False, ("ar", "fa", "tr"), (("Baghdad", "IRQ"), ("Tehran", "IRN"))),
    Community("southern", 0.012, _SOUTHERN, 0.3, 0.1, 0.3, 0.7, False, False, ("pt", "es", "it"), (("Porto", "PRT"), ("Napoli", "ITA"))),
)  # fmt: skip

NAMES = tuple(community.name for community in COMMUNITIES)
BRITISH = NAMES.index("british")
