"""Which match weights are in force for the next build, and which ones a generation was built for.

Belongs here: finding and checking the file, and reading what a manifest pins. Does not belong here: the
shape of the file (``matching/weights.py``), estimating and reviewing weights (``assets/weights``).

In force is what ``NCRS_WEIGHTS`` names; else the file that ``ncrs weights adopt`` put into the home; else
the one that ships with the code. A generation is always answered with the weights it pins.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from schemas.errors import ConfigurationError, GenerationError
from schemas.generation import GenerationManifest, WeightsState
from search_api.matching.weights import Weights, shipped, shipped_text
from search_api.settings import Settings

_REMEDY = "Name another file in NCRS_WEIGHTS, or adopt one anew with ncrs weights adopt."


def adopted_path(settings: Settings) -> Path:
    """Where ``ncrs weights adopt`` puts a file into force."""
    return settings.home / "weights" / "adopted.json"


def in_force(settings: Settings) -> WeightsState:
    """The weights that the next generation is built for. Raises ConfigurationError."""
    adopted = adopted_path(settings)
    path = settings.weights or (adopted if adopted.is_file() else None)
    if path is None:
        return state_of(shipped_text())
    return state_of(read(path))


def read(path: Path) -> str:
    """The text of a weights file. Raises ConfigurationError."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The weights file {path.name} cannot be read ({type(error).__name__}).", remedy=_REMEDY
        ) from None


def state_of(text: str) -> WeightsState:
    """A weights file as a manifest pins it. Raises ConfigurationError when it cannot be used."""
    weights = checked(text)
    return WeightsState(version=weights.version, sha256=sha256(text.encode()).hexdigest(), content=text)


def checked(text: str) -> Weights:
    """The weights in a text, with every level that this release can reach. Raises ConfigurationError."""
    weights = Weights.parse(text)
    if missing := _missing(weights):
        raise ConfigurationError(
            f"The weights {weights.version} lack levels that this release reaches: {', '.join(missing)}.",
            remedy="Add them as in search_api/matching/weights.json, or propose weights anew.",
        )
    return weights


def pinned(manifest: GenerationManifest) -> Weights:
    """The weights a generation was built for; the shipped ones where it is from before they were pinned.

    Raises GenerationError.
    """
    state = manifest.weights
    if state is None:
        return shipped()
    if sha256(state.content.encode()).hexdigest() != state.sha256:
        raise GenerationError(f"The weights that generation {manifest.generation} pins are damaged.")
    try:
        weights = checked(state.content)
    except ConfigurationError as error:
        raise GenerationError(
            f"Generation {manifest.generation} pins weights that this release cannot use. {error.message}",
            remedy="Build anew with ncrs build, or run the release that made it.",
        ) from None
    return shipped() if weights == shipped() else weights


def _missing(weights: Weights) -> list[str]:
    known = {(name, level) for name, levels in weights.levels.items() for level in levels}
    needed = ((name, level) for name, levels in shipped().levels.items() for level in levels)
    return [f"{name}.{level}" for name, level in needed if (name, level) not in known]
