"""Values that a careful engine must not trip over: placeholders, marks, other alphabets, query languages.

Belongs here: the lists. Does not belong here: what they lead to.
"""

from __future__ import annotations

NAMES = ("UNKNOWN", "Baby", "BABY OF SMITH", "Test", "ZZTest", "XXTESTPATIENT", "N/A", "not known", "Twin 1", "NFN",
         "Infant", "anon", "-", "X", "DO NOT USE", "MALE")  # fmt: skip
DATES = ("1900-01-01", "1901-01-01", "1800-01-01", "9999-12-31", "1970-01-01", "2000-02-29")
PHONES = ("00000000000", "01234567890", "999", "0", "not known", "+44", "07000000000")
EMAILS = ("none@none.com", "unknown", "@", "test@test.com", "noemail@nhs.net", "a@b")
POSTCODES = ("ZZ99 3VZ", "ZZ993WZ", "zz99 7cz", "DN15258JY", "LS1", "LS", "N/A", "0000 000", "LS16AEE", "ISI 6AE")
TEXTS = (
    "O'Brien", "O’Brien", "D'Arcy-Smith", "Ó Briain", "Müller", "MÜLLER", "Łukasz", "Ægir", "straße", "İnci", "ıtır",
    "Zoë", "Jean-Luc", "van der Berg", "de la", "St. John", "MacDonald", "McDonald Jr", "Smith III", "Nguyễn", "李",
    "Иванов", "محمد", "ไทย", "🙂", "a.*b", "a|b", "[a-z]+", "(x)", "x{1,3}", "\\", "\"quoted\"", "~2", "^4", "&&", "||",
    "AND", "OR NOT", "keys:x", "*:*", "/x/", "<1-9>", "#", "@", "!restricted", "!sentinel", "f:SMITH", "w:JOHN", " ",
    "\u00a0", "'", "''", "-", "--", "a" * 35, "A B C D E F G", "Q", "1", "\u0301", "ﬁeld", "Ｓmith",
)  # fmt: skip
# Ways to write a name that means the same, or nearly.
AROUND = ("{}", " {} ", "{}-", "'{}'", "{}.", "Dr {}", "{} Jr", "{} III", "{0}{0}", "{0} {0}", "({})", "{}\u0301")
