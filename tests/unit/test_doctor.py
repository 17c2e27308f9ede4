"""What ``ncrs doctor`` notices, each with its remedy."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines import doctor
from schemas.generation import CURRENT_NAME, GENERATION_MANIFEST_NAME
from search_api.settings import Settings
from tests.lib.generations import manifest, write_current


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return Settings(home=home)


def _levels(findings: Iterator[doctor.Finding]) -> list[str]:
    return [finding.level for finding in findings]


def test_a_good_home_has_nothing_to_mend(settings: Settings) -> None:
    findings = doctor.examine(settings)
    assert [finding.line() for finding in findings if finding.level == "fail"] == []
    assert {finding.name for finding in findings} >= {"python", "settings", "folders", "disk", "ports", "generation"}


def test_every_finding_that_is_not_ok_has_a_remedy(settings: Settings) -> None:
    assert all(finding.remedy for finding in doctor.examine(settings) if finding.level != "ok")


def test_a_home_that_others_can_reach(settings: Settings) -> None:
    settings.home.chmod(0o755)
    found = list(doctor.folders(settings))
    assert _levels(iter(found)) == ["warn"]
    assert "chmod 700" in found[0].remedy


def test_settings_that_are_wrong_together(tmp_path: Path) -> None:
    wrong = Settings(home=tmp_path, issuer="http://issuer.example", retention=1, index="http://search.example")
    assert _levels(doctor.contradictions(wrong)) == ["fail", "fail", "fail", "ok"]


def test_a_port_that_is_taken(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        chosen = settings.model_copy(update={"port": port})
        taken = [finding for finding in doctor.ports(chosen) if str(port) in finding.text]
    assert _levels(iter(taken)) == ["warn"]
    assert "NCRS_PORT" in taken[0].remedy


def test_too_little_disk_for_the_next_build(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE", 10**18)
    assert _levels(doctor.disk(settings)) == ["fail"]


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_network_file_system(settings: Settings, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(doctor, "_file_system", lambda path: kind)
    assert _levels(doctor.file_systems(settings)) == ["fail"]


def test_builds_left_over(settings: Settings) -> None:
    (settings.home / "building" / "000002-00000000").mkdir(parents=True)
    assert _levels(doctor.leftovers(settings)) == ["warn"]


def test_a_manifest_where_nobody_looks(settings: Settings) -> None:
    stray = settings.drop_folder / "pds_patients" / "PDS" / "00000001"
    stray.mkdir(parents=True)
    (stray / "manifest.json").write_text("{}")
    found = list(doctor.deliveries(settings))
    assert _levels(iter(found)) == ["warn"]
    assert "pds_patients" in found[0].text


@pytest.mark.parametrize(("minutes", "level"), [(1, "ok"), (60, "warn")])
def test_a_sensor_that_has_not_looked_for_long(settings: Settings, minutes: int, level: str) -> None:
    folder = settings.home / "heartbeat"
    folder.mkdir()
    (folder / "drop_folder").write_text((datetime.now(UTC) - timedelta(minutes=minutes)).isoformat())
    assert _levels(doctor.sensors(settings)) == [level]


def test_a_whole_generation(settings: Settings) -> None:
    write_current(settings, manifest())
    assert _levels(doctor.generation(settings)) == ["ok"]


def test_a_generation_with_a_file_cut_short(settings: Settings) -> None:
    made = manifest()
    write_current(settings, made)
    (settings.generations_folder / made.generation / made.files[0].path).write_bytes(b"")
    assert _levels(doctor.generation(settings)) == ["fail"]


def test_a_marker_without_its_generation(settings: Settings) -> None:
    made = manifest()
    write_current(settings, made)
    (settings.generations_folder / made.generation / GENERATION_MANIFEST_NAME).unlink()
    found = list(doctor.generation(settings))
    assert _levels(iter(found)) == ["fail"]
    assert "rollback" in found[0].remedy
    assert (settings.generations_folder / CURRENT_NAME).exists()
