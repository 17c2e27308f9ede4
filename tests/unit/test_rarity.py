"""What keys are worth: from names and kinds alone, in whole bits, the same on every machine."""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from search_api.index.documents import documents
from search_api.index.frequencies import Frequencies
from search_api.index.provider import CandidateSet, IndexReader, KeyQuery
from search_api.matching import blocking, rarity
from search_api.matching.asked import ask
from search_api.matching.matcher import Matcher
from search_api.matching.questions import DateRange, Mode, Question
from search_api.matching.rarity import Rarities, Sounds, bits, weigh
from tests.lib.crowd import crowd
from tests.lib.index import SmallIndex, address, build, frame, name, nhs_number, person

MILLION = 1_000_000
# Smith S530, John J500 (as a key code G500), a name that few have, and one that nobody has.
NAMES = Frequencies(MILLION, {"SMITH": 12_000, "PHILLIPS": 40}, {"JOHN": 30_000, "ZEBEDEE": 3})


def worth(key: str, known: Frequencies = NAMES) -> int:
    (weighed,) = weigh([key], known, 2000).keys
    assert weighed.key == key
    return weighed.rarity


@pytest.mark.parametrize("of", [1, 3, 1000, 66_000_000, 10**20])
def test_bits_are_rounded_logarithms(of: int) -> None:
    dice = random.Random(of)
    for _ in range(300):
        held = dice.randint(1, of)
        exact = math.log2(of / held)
        if abs(exact % 1 - 0.5) > 1e-9:
            assert bits(held, of) == max(1, round(exact))


def test_bits_are_at_least_one_and_take_nobody_for_one() -> None:
    assert bits(5, 5) == bits(7, 5) == 1
    assert bits(0, 1024) == bits(1, 1024) == 10


def test_a_half_is_decided_by_integers_where_floating_point_cannot_tell() -> None:
    root = math.isqrt(2 * 10**60)
    assert bits(10**30, root * 8) == 3, "just below 3.5 bits"
    assert bits(10**30, (root + 1) * 8) == 4, "just above"


def test_rarer_sounds_make_rarer_keys() -> None:
    dense = Frequencies(60 * MILLION, {"SMITH": 3 * MILLION}, {"JOHN": 2 * MILLION, "ZEBEDEE": 3})
    assert worth("a19700105S530", dense) < worth("a19700105P412", dense)
    assert worth("e1970G500S530", dense) < worth("e1970P412S530", dense) == worth("e1970Z999Z999", dense)
    assert worth("e1970G500S530", dense) > worth("nG500S530", dense)
    assert worth("c19700105MJ", dense) < worth("c19700105MQ", dense)


def test_no_key_is_rarer_than_one_person_of_all() -> None:
    most = bits(1, MILLION)
    for key in ("a19700105Q999", "b19700105LS1", "c19700105FX", "e1970Q999Q998", "nQ999Q998", "pLS11AAQ999"):
        assert 1 <= worth(key) <= most
    assert worth("t07700900123") == worth("@anybody@example.com") == most - 1


def test_a_pair_is_of_the_family_name_and_the_given_name_whichever_comes_first() -> None:
    people = 1000
    rarities = Rarities(people, Sounds({"A100": 500}, {"B200": 400}, {}))
    other = Rarities(people, Sounds({"B200": 400}, {"A100": 500}, {}))
    start, worths = rarities.kinds["e"]
    assert start == len("e1970")
    expected = people * 0.5 * 0.4 / rarity.YEARS
    assert worths["A100B200"] == other.kinds["e"][1]["A100B200"] == round(math.log2(people / (1 + expected)))


def test_what_is_kept_of_rarities_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rarity, "_KEPT", 5)
    known = Frequencies(MILLION, {}, {})
    for at in range(50):
        worth(f"a19700105Q{at:03d}", known)
        assert len(known.rarities.kinds["a"][1]) <= 5


def test_names_without_latin_letters_make_keys_of_the_greatest_rarity() -> None:
    known = Frequencies(MILLION, {"李": 900, "SMITH": 12_000}, {"小龙": 80})
    assert worth("e1970S530小龙", known) == worth("n小龙李", known) == bits(1, MILLION)
    assert 1 <= worth("pLS11AA李", known) <= bits(1, MILLION)
    assert worth("a19700105李", known) == bits(30_000 + 900, 30_000 * MILLION)


def test_counted_keys_have_their_true_rarity_and_those_over_the_cap_are_left_out() -> None:
    known = Frequencies(MILLION, {}, {}, {"e1970G500S530": 2000, "e1971G500S530": 2001, "b19700101LS1": 1500})
    found = weigh(["e1970G500S530", "e1971G500S530", "b19700101LS1", "c19700105MJ"], known, 2000)
    assert dict(found.keys[:2]) == {"e1970G500S530": 9, "b19700101LS1": 9}
    assert [each.key for each in found.keys[2:]] == ["c19700105MJ"]
    assert found.over_cap == {"e": 1}
    assert found.counters == {
        "keys": 4,
        "keys_over_cap": 1,
        "keys_year_and_sounds": 2,
        "keys_day_and_outcode": 1,
        "keys_day_sex_and_initial": 1,
        "keys_over_cap_year_and_sounds": 1,
    }


@pytest.mark.parametrize("known", [NAMES, Frequencies.empty(), Frequencies(1, {"SMITH": 5}, {"JOHN": 7})])
def test_every_key_of_every_kind_has_a_rarity(known: Frequencies) -> None:
    question = Question(
        Mode.WIDE,
        family="O'Neill-Smith",
        given=("Zoë 李", "Ann"),
        gender="female",
        birth=DateRange("1970-02", "1971-03-04"),
        postcode="LS1 1AA",
        phones=("07700 900123",),
        emails=("a@example.com",),
    )
    asked = blocking.keys(ask(question), Mode.WIDE, known)
    indexed = [key for document in documents(crowd(300, seed=3), known) for key in document.keys]
    one_day = replace(question, birth=DateRange("1970-02-03", "1970-02-03"))
    day = blocking.keys(ask(one_day), Mode.WIDE, known)
    assert {key[0] for key in (*asked, *day, *indexed)} == set(rarity.KINDS)
    found = weigh([*asked, *day, *indexed], known, 10)
    assert all(1 <= each.rarity <= bits(1, max(known.population, 1)) for each in found.keys)


def test_sounds_and_crowded_keys_survive_the_file(tmp_path: Path) -> None:
    counted = Frequencies.build([crowd(2000, seed=4)])
    known = Frequencies(counted.population, counted.family, counted.given, {"a20000101S530": 17, "tSECRET": 3})
    known.save(tmp_path / "names.parquet")
    loaded = Frequencies.load(tmp_path / "names.parquet")
    assert loaded == known
    assert loaded.crowded == known.crowded
    assert loaded.read == loaded.sounds == known.sounds
    assert sum(known.sounds.family.values()) == sum(known.family.values())
    assert sum(known.sounds.initial.values()) == sum(known.sounds.given.values()) == sum(known.given.values())
    assert [file.name for file in tmp_path.iterdir()] == ["names.parquet"]
    keys = [key for document in documents(crowd(50, seed=9), known) for key in document.keys]
    assert weigh(keys, loaded, 5) == weigh(keys, known, 5)


def test_names_of_one_sound_are_added_up() -> None:
    known = Frequencies(100, {"SMITH": 5, "SMYTHE": 2, "JONES": 4}, {"CATHERINE": 3, "KATHRYN": 2})
    assert known.sounds == Sounds({"S530": 7, "G520": 4}, {"C365": 5}, {"C": 3, "K": 2})


class Recorder:
    """Notes what an index is asked, and passes it on."""

    def __init__(self, reader: IndexReader) -> None:
        self.asked: list[KeyQuery] = []
        self._reader = reader

    def __getattr__(self, method: str) -> Callable[..., object]:
        found: Callable[..., object] = getattr(self._reader, method)
        return found

    def candidates(self, query: KeyQuery) -> CandidateSet:
        self.asked.append(query)
        return self._reader.candidates(query)


@pytest.fixture
def few(tmp_path: Path) -> Iterator[SmallIndex]:
    people = [
        person(nhs_number(at), name("Smith", "John"), born="1970-01-05", gender="male",
               addresses=[address("LS1 1AA")]) for at in range(1, 6)
    ]  # fmt: skip
    made = build(tmp_path, people)
    yield made
    made.reader.close()


def test_a_crowded_key_is_not_asked_and_the_answer_says_so(few: SmallIndex) -> None:
    asked = Question(Mode.WIDE, family="Smith", given=("John",), birth=DateRange("1970-01-05", "1970-01-05"))
    known = few.frequencies
    crowded = Frequencies(known.population, known.family, known.given, {"a19700105S530": 5})
    open_, cut = Recorder(few.reader), Recorder(few.reader)
    all_of_it = Matcher(key_cap=5).answer(asked, open_, crowded)  # type: ignore[arg-type]
    less = Matcher(key_cap=4).answer(asked, cut, crowded)  # type: ignore[arg-type]
    missing = {each.key for each in open_.asked[0].keys} - {each.key for each in cut.asked[0].keys}
    assert missing == {"a19700105S530"}
    assert (all_of_it.truncated, less.truncated) == (False, True)
    assert (all_of_it.counters["keys_over_cap"], less.counters["keys_over_cap"]) == (0, 1)
    assert [match.nhs_number for match in less.matches] == [match.nhs_number for match in all_of_it.matches]


def test_nobody_is_asked_when_every_key_is_crowded(few: SmallIndex) -> None:
    asked = Question(Mode.FUZZY, family="Smith", given=("John",), birth=DateRange("1970-01-05", "1970-01-05"))
    known = few.frequencies
    keys = blocking.keys(ask(asked), Mode.FUZZY, known)
    crowded = Frequencies(known.population, known.family, known.given, dict.fromkeys(keys, 6))
    index = Recorder(few.reader)
    answer = Matcher(key_cap=5).answer(asked, index, crowded)  # type: ignore[arg-type]
    assert (answer.matches, answer.truncated, index.asked) == ((), True, [])


def test_frequencies_travel_without_what_was_worked_out_from_them() -> None:
    """To the processes that build an index, also from one that answered questions before."""
    people = [person(nhs_number(at), name("Smith", "John"), born="1980-01-01") for at in range(3)]
    asked = Frequencies.build([frame(people)])
    assert asked.family_spelling.neighbours("SMYTH", 5) == [("SMITH", 3)]
    sent = pickle.dumps(asked)
    assert len(sent) < 1000
    assert pickle.loads(sent) == asked


def test_frequencies_travel_with_the_sounds_that_were_read_with_them() -> None:
    """A compiled class, too, which has to say itself how it is made anew."""
    read = Sounds({"SM0": 3}, {"JN": 2}, {"J": 2})
    sent = pickle.loads(pickle.dumps(Frequencies(3, {"SMITH": 3}, {"JOHN": 2}, read=read)))
    assert sent.read == read
