"""The generated pages say what the code says; `make docs` writes them anew."""

from __future__ import annotations

import pytest

from assets import keys
from pipelines import reference


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_page_is_up_to_date(name: str) -> None:
    committed = (reference.FOLDER / name).read_text(encoding="utf-8")
    assert committed == reference.PAGES[name](), (
        f"docs/reference/{name} differs: run `make docs` and look at the change"
    )


def test_every_key_of_the_catalogue_is_defined_and_no_other() -> None:
    from pipelines.definitions import build_definitions

    graph = build_definitions().resolve_asset_graph()
    defined = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert defined == set(keys.all_keys())


def test_every_setting_has_a_description() -> None:
    from search_api.settings import Settings

    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_command_has_help_with_an_example() -> None:
    without = [path for path, command in reference.commands() if f"Example: {path}" not in (command.help or "")]
    assert without == []


def test_every_option_has_help() -> None:
    without = [
        f"{path} {parameter.name}"
        for path, command in reference.commands()
        for parameter in command.params
        if not getattr(parameter, "help", None)
    ]
    assert without == []
